package protocoltest

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// Fuzz feeds the protocol with inputs made from what Suite.Client sends, from Suite.Seeds and from the
// corpus in testdata. Whatever comes in, ServeConn returns soon after the end of the input, without a
// panic, and leaves nothing behind.
func Fuzz(f *testing.F, s Suite) {
	f.Helper()
	for _, data := range append(s.record(f), s.Seeds...) {
		f.Add(data, false, true)
		f.Add(data, true, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, login, text bool) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, &s)
			c := e.dial()
			if login {
				if err := c.Connect(Login{}); err != nil {
					t.Fatalf("connect: %v", err)
				}
			}
			kind := core.Binary
			if text {
				kind = core.Text
			}
			e.feed(c, data, kind)
		})
	})
}

// record returns what a client sends: each message, and all together. It runs in real time, as a
// testing.F has no bubbles.
func (s *Suite) record(f *testing.F) [][]byte {
	f.Helper()
	var mu sync.Mutex
	var seeds [][]byte
	var all []byte
	proto := s.New(coretest.Broker(f))
	f.Cleanup(runRunner(f, proto))
	peer := Serve(f.Context(), proto, s.pipe(proto))
	peer.tap = func(data []byte) {
		mu.Lock()
		defer mu.Unlock()
		seeds = append(seeds, append([]byte(nil), data...))
		all = append(all, data...)
	}
	c := s.Client(f, peer)
	err := c.Connect(Login{ClientID: "kit"})
	if err == nil {
		err = c.Subscribe("topic/kit/+")
	}
	for _, body := range s.Bodies {
		if err == nil {
			err = c.Publish("topic/kit/a", body)
		}
	}
	if err == nil {
		_, err = c.Receive(10 * time.Second)
	}
	if d, ok := c.(Disconnecter); ok && err == nil {
		err = d.Disconnect()
	}
	if err != nil {
		f.Fatalf("record what a client sends: %v", err)
	}
	peer.Close()
	<-peer.Done()
	return append(seeds, all)
}
