package mqtt

import (
	"context"
	"strconv"
	"time"

	"github.com/wyemq/wye/core"
)

// Run publishes the $SYS topics until ctx is done.
func (p *Protocol) Run(ctx context.Context, ready func()) error {
	ready()
	if p.cfg.SysInterval <= 0 {
		<-ctx.Done()
		return nil
	}
	p.publishSys()
	tick := time.NewTicker(p.cfg.SysInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.publishSys()
		}
	}
}

func (p *Protocol) publishSys() {
	stats := p.broker.Stats()
	var in, out uint64
	for _, s := range stats.Protocols {
		in += s.In
		out += s.Out
	}
	for topic, value := range map[string]string{
		"version":                 "wye version " + p.broker.Version(),
		"uptime":                  strconv.Itoa(int(p.broker.Uptime()/time.Second)) + " seconds",
		"clients/connected":       strconv.Itoa(stats.Sessions),
		"clients/disconnected":    strconv.Itoa(stats.Kept),
		"messages/received":       strconv.FormatUint(in, 10),
		"messages/sent":           strconv.FormatUint(out, 10),
		"subscriptions/count":     strconv.Itoa(stats.Subscriptions),
		"retained messages/count": strconv.Itoa(stats.Retained),
	} {
		p.broker.Inject("", &core.Message{
			Destination: "topic/$SYS/broker/" + topic, Body: []byte(value), Retain: true, TextBody: true,
		})
	}
}
