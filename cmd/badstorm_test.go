package wyecmd_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestConnectStorm has clients connect and drop, a thousand in each second for ten seconds: with a login and without, by
// TCP and by WebSocket, in order and broken off. The broker is a process of its own, whose resident memory is looked at.
func TestConnectStorm(t *testing.T) {
	const (
		rate    = 1000
		seconds = 10
		most    = 64 << 20 // of resident memory, beside what the broker has at first
	)
	h := spawnBadHouse(t, build(t, "./wye"))
	for _, w := range h.witnesses {
		w.goesOn(t)
		w.worst.Store(0)
	}
	_, before := h.resident(t)
	var storm sync.WaitGroup
	var failed atomic.Int64
	todo := make(chan int, rate) // a second may be made up for
	var first atomic.Pointer[error]
	for range 32 {
		storm.Go(func() {
			for i := range todo {
				if err := h.drop(i); err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	begun := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	for i := 0; i < rate*seconds; {
		<-tick.C
		for due := int(time.Since(begun).Seconds() * rate); i < min(due, rate*seconds); i++ {
			todo <- i
		}
	}
	tick.Stop()
	close(todo)
	storm.Wait()
	took := time.Since(begun)
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d failed, the first with %v", n, rate*seconds, *first.Load())
	}
	if got := float64(rate*seconds) / took.Seconds(); got < rate/4 { // a busy machine storms less
		t.Errorf("%.0f connections in each second, want %d", got, rate)
	}
	for _, w := range h.witnesses {
		w.goesOn(t)
	}
	// Every connection has one line, and so has ended.
	h.log.wait(t, "the end of every connection", func() bool {
		n := 0
		for _, c := range h.log.count {
			n += c
		}
		if n > rate*seconds {
			t.Errorf("%d lines about %d connections", n, rate*seconds)
		}
		return n >= rate*seconds
	})
	now, peak := h.resident(t)
	if peak-before > most {
		t.Errorf("resident memory has grown from %d to %d kB, want %d more at most", before>>10, peak>>10, most>>10)
	}
	t.Logf("%d connections in %v; resident before %d kB, after %d kB, peak %d kB; latency %v and %v; reasons %v", rate*seconds, took.Round(time.Millisecond),
		before>>10, now>>10, peak>>10, time.Duration(h.witnesses[0].worst.Load()), time.Duration(h.witnesses[1].worst.Load()), h.log.reasons())
}

// drop connects, does one of several things, and drops the connection.
func (h *badHouse) drop(i int) error {
	kind := i % 5
	nc, err := net.DialTimeout("tcp", h.addrs[[...]string{"stomp", "mqtt", "websocket", "stomp", "websocket"}[kind]], badPatience)
	if err != nil {
		return err
	}
	defer nc.Close()
	if i%2 == 0 {
		_ = nc.(*net.TCPConn).SetLinger(0) // broken off
	}
	_ = nc.SetDeadline(time.Now().Add(badPatience))
	in := bufio.NewReaderSize(nc, 512)
	handshake := func(token string) error {
		_, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Protocol: "+token+"\r\n"+badUpgrade+"\r\n")
		for err == nil {
			var line string
			if line, err = in.ReadString('\n'); line == "\r\n" {
				return nil
			}
		}
		return fmt.Errorf("handshake: %w", err)
	}
	switch kind {
	case 0:
		_, err = io.WriteString(nc, stompFrame("CONNECT", "accept-version:1.2"))
		if f, e := in.ReadString(0); !strings.HasPrefix(f, "CONNECTED\n") {
			err = fmt.Errorf("STOMP login: %q, %w", f, e)
		}
	case 1:
		_, err = io.WriteString(nc, mqttConnect(5, "", 0))
		if p, e := readMQTT(in); p.first != 0x20 {
			err = fmt.Errorf("MQTT login: %x, %w", p.first, e)
		}
	case 2:
		err = handshake("v12.stomp")
	case 3: // nothing
	case 4:
		if err = handshake("mqtt"); err == nil {
			_, err = io.WriteString(nc, wsMasked(0x82, mqttConnect(5, "", 0)))
		}
		if _, e := in.ReadByte(); err == nil {
			err = e
		}
	}
	return err
}
