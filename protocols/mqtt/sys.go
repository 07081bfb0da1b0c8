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

// publishSys publishes what the broker knows about itself, as retained messages.
func (p *Protocol) publishSys() {
	s := p.broker.Stats()
	var in, out, inBytes, outBytes, dropped uint64
	for _, x := range s.Protocols {
		in, out, inBytes, outBytes = in+x.In, out+x.Out, inBytes+x.InBytes, outBytes+x.OutBytes
	}
	for _, n := range s.Drops {
		dropped += n
	}
	for _, x := range []struct {
		topic string
		value uint64
	}{
		{"clients/connected", uint64(s.Sessions)},
		{"clients/disconnected", uint64(s.Kept)},
		{"clients/total", uint64(s.Sessions + s.Kept)},
		{"subscriptions/count", uint64(s.Subscriptions)},
		{"retained messages/count", uint64(s.Retained)},
		{"messages/received", in},
		{"messages/sent", out},
		{"messages/dropped", dropped},
		{"bytes/received", inBytes},
		{"bytes/sent", outBytes},
	} {
		p.inject(x.topic, strconv.FormatUint(x.value, 10))
	}
	p.inject("uptime", strconv.FormatInt(int64(p.broker.Uptime()/time.Second), 10)+" seconds")
	p.inject("version", "wye version "+p.broker.Version())
}

func (p *Protocol) inject(topic, value string) {
	p.broker.Inject("", &core.Message{
		Destination: "topic/" + sysLevel + "/broker/" + topic, Body: []byte(value), Retain: true, TextBody: true,
	})
}
