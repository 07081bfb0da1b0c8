package mqtt

import (
	"context"
	"strconv"
	"time"

	"github.com/wyemq/wye/core"
)

// Run implements core.Runner: it publishes the $SYS topics.
func (p *Protocol) Run(ctx context.Context, ready func()) error {
	ready()
	if p.cfg.SysInterval <= 0 {
		<-ctx.Done()
		return nil
	}
	t := time.NewTicker(p.cfg.SysInterval)
	defer t.Stop()
	for {
		p.publishSys()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// publishSys publishes what the broker knows about itself, as retained messages: in each virtual host of that one alone.
func (p *Protocol) publishSys() {
	s := p.broker.Stats()
	alone := len(s.VHosts) == 1
	for i := range s.VHosts {
		v := &s.VHosts[i]
		if !v.Served || v.Sessions == 0 && !alone && v.Name != "/" { // nobody would hear it, and it is stored
			continue
		}
		p.publishCounts(v)
		if alone { // how many there are in each is not counted
			p.inject(v.Name, "retained messages/count", strconv.Itoa(s.Retained))
		}
	}
}

func (p *Protocol) publishCounts(v *core.VHostStats) {
	var in, out, inBytes, outBytes, dropped uint64
	for _, x := range v.Protocols {
		in, out, inBytes, outBytes = in+x.In, out+x.Out, inBytes+x.InBytes, outBytes+x.OutBytes
	}
	for _, n := range v.Drops {
		dropped += n
	}
	for _, x := range []struct {
		topic string
		value uint64
	}{
		{"clients/connected", uint64(v.Sessions)},
		{"clients/disconnected", uint64(v.Kept)},
		{"clients/total", uint64(v.Sessions + v.Kept)},
		{"subscriptions/count", uint64(v.Subscriptions)},
		{"messages/received", in},
		{"messages/sent", out},
		{"messages/dropped", dropped},
		{"bytes/received", inBytes},
		{"bytes/sent", outBytes},
	} {
		p.inject(v.Name, x.topic, strconv.FormatUint(x.value, 10))
	}
	p.inject(v.Name, "uptime", strconv.FormatInt(int64(p.broker.Uptime()/time.Second), 10)+" seconds")
	p.inject(v.Name, "version", "wye version "+p.broker.Version())
}

func (p *Protocol) inject(vhost, topic, value string) {
	p.broker.Inject(vhost, &core.Message{
		Destination: "topic/" + sysLevel + "/broker/" + topic, Body: []byte(value), Retain: true, TextBody: true,
	})
}
