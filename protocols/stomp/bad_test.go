package stomp_test

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/protocols/stomp"
)

// TestBadInput sends what no client should. The connection ends with an ERROR that names the reason, and
// others do not notice.
func TestBadInput(t *testing.T) {
	const login = "CONNECT\naccept-version:1.2\n\n\x00"
	for _, c := range []struct {
		name, in string
		reason   *core.Reason
	}{
		{"garbage", "\xde\xad\xbe\xef" + strings.Repeat("\x01\x02", 100), core.ErrInvalid},
		{"HTTP", "GET /index.html?with=a+rather+long+query HTTP/1.1\r\nHost: x\r\n\r\n", core.ErrInvalid},
		{"MQTT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", core.ErrInvalid},
		{"header bomb before login", "CONNECT\n" + strings.Repeat("a:b\n", 5000), core.ErrTooBig},
		{"long header before login", "CONNECT\na:" + strings.Repeat("b", 70_000), core.ErrTooBig},
		{"body bomb before login", "CONNECT\n\n" + strings.Repeat("b", 70_000), core.ErrTooBig},
		{"announced body before login", "CONNECT\ncontent-length:9999999999\n\n", core.ErrTooBig},
		{"header bomb", login + "SEND\n" + strings.Repeat("a:b\n", 1001) + "\n\x00", core.ErrTooBig},
		{"long header", login + "SEND\na:" + strings.Repeat("b", 70_000) + "\n\n\x00", core.ErrTooBig},
		{"body bomb", login + "SEND\ndestination:/queue/a\n\n" + strings.Repeat("b", 4<<20+1), core.ErrTooBig},
		{"announced body", login + "SEND\ndestination:/queue/a\ncontent-length:4194305\n\n", core.ErrTooBig},
		{"invalid UTF-8", login + "SEND\ndestination:/queue/\xff\n\n\x00", core.ErrNotUTF8},
		{"invalid UTF-8 in CONNECT", "CONNECT\nlogin:\xc3\x28\n\n\x00", core.ErrNotUTF8},
		{"malformed filter", login + "SUBSCRIBE\nid:1\ndestination:/topic/a.b#\n\n\x00", core.ErrInvalid},
		{"too many levels", login + "SUBSCRIBE\nid:1\ndestination:/topic/" + strings.Repeat("a.", 200) + "\n\n\x00", core.ErrInvalid},
		{"malformed selector", login + "SUBSCRIBE\nid:1\ndestination:/topic/a\nselector:a = = 1\n\n\x00", core.ErrInvalid},
		{"deep selector", login + "SUBSCRIBE\nid:1\ndestination:/topic/a\nselector:" + strings.Repeat("(", 10_000) + "\n\n\x00", core.ErrInvalid},
		{"many transactions", login + many("BEGIN\ntransaction:", 1000), core.ErrLimit},
		{"many subscriptions", login + many("SUBSCRIBE\ndestination:/topic/a\nid:", 10_001), core.ErrLimit},
		{"frame after frame of nothing", login + strings.Repeat("\n\x00", 1000), core.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				good, bad := h.login("1.2"), h.peer(core.ConnInfo{})
				good.do("SUBSCRIBE", "id:1", "destination:/topic/good")
				bad.raw(c.in)
				if f := bad.expect("ERROR"); get(f, "reason") != c.reason.ID() || len(f.Body) == 0 || len(get(f, "message")) > 150 {
					t.Errorf("got %s", text(f))
				}
				bad.ended(c.reason)
				good.send("SEND", []string{"destination:/topic/good"}, "x")
				good.message("x")
			})
		})
	}
}

func many(frame string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(frame + strconv.Itoa(i) + "\n\n\x00")
	}
	return b.String()
}

// Clients that announce large bodies and send nothing hold no memory.
func TestAnnouncedBodiesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		var before, after runtime.MemStats
		const n = 200
		peers := make([]*peer, n)
		for i := range peers {
			peers[i] = h.login("1.2")
		}
		runtime.GC()
		runtime.ReadMemStats(&before)
		for _, p := range peers {
			p.raw("SEND\ndestination:/queue/a\ncontent-length:4194304\n\nx")
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > 64<<10 {
			t.Errorf("each holds %d bytes", each)
		}
	})
}

// FuzzSession checks that no octets panic a session, and that it ends when it must.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"SUBSCRIBE\nid:1\ndestination:/topic/a.*\nack:client\n\n\x00SEND\ndestination:/topic/a.b\n\nx\x00ACK\nid:1\n\n\x00",
		"BEGIN\ntransaction:t\n\n\x00SEND\ndestination:/queue/a,/queue/b\ntransaction:t\n\nx\x00COMMIT\ntransaction:t\n\n\x00",
		"SUBSCRIBE\nid:1\ndestination:/queue/q\nbrowser:true\nprefetch-count:3\n\n\x00UNSUBSCRIBE\nid:1\n\n\x00",
		"SEND\ndestination:/queue/q\nreply-to:/temp-queue/r\nexpires:1\npriority:9\nAMQ_SCHEDULED_CRON:* * * * *\n\nx\x00",
		"SUBSCRIBE\nid:1\ndestination:/dsub/x\n\n\x00", "NACK\nmessage-id:a-1\nsubscription:1\nrequeue:false\n\n\x00", "DISCONNECT\nreceipt:1\n\n\x00",
	} {
		for _, v := range []string{"1.0", "1.1", "1.2"} {
			f.Add(v, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, version string, in []byte) {
		broker, err := core.NewBroker(core.Options{Engine: memory.New()})
		if err != nil {
			t.Fatal(err)
		}
		p, err := stomp.New(broker, stomp.DefaultConfig(), nil)
		if err != nil {
			t.Fatal(err)
		}
		p.Sniff(in)
		begun := time.Now()
		feed, end := stomp.Feeder(p, newSink())
		if feed([]byte("CONNECT\naccept-version:"+version+"\n\n\x00")) == nil {
			_ = feed(in) // whatever it says, it must not panic
		}
		end()
		if err := broker.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("took %v", d)
		}
	})
}
