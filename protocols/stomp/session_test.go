package stomp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp"
)

// The browser side of stomp.js expects a heart-beat to be a message that is exactly one LF.
func TestHeartBeatIsOneTextMessage(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		p := h.login("1.2", "heart-beat:0,10000")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		m, ok := p.conn.take()
		if !ok || string(m.data) != "\n" || m.kind != core.Text {
			t.Errorf("got %v %q, want one LF", m.kind, m.data)
		}
	})
}

// Browsers let the timers of hidden tabs run once in a minute.
func TestHeartBeatOfBrowsers(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		p := h.peer(core.ConnInfo{Header: http.Header{"Origin": {"https://example.org"}}})
		p.do("CONNECT", "accept-version:1.2", "heart-beat:10000,0")
		p.expect("CONNECTED")
		time.Sleep(61 * time.Second)
		p.nothing()
		time.Sleep(10 * time.Second)
		p.expect("ERROR")
		p.ended(core.ErrHeartbeat)
	})
}

func TestHeartBeatSwitchedOff(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		p := h.peer(core.ConnInfo{})
		p.do("CONNECT", "accept-version:1.2", "heart-beat:1000,1000")
		if f := p.expect("CONNECTED"); get(f, "heart-beat") != "0,0" {
			t.Errorf("got %s", text(f))
		}
		time.Sleep(time.Hour)
		p.nothing()
	}, func(_ *core.Options, c *stomp.Config) { c.HeartBeat.Send, c.HeartBeat.Receive = 0, 0 })
}

// Binary bodies come as binary messages, text as text: a text message must be UTF-8.
func TestKindOfMessages(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		p := h.login("1.2")
		p.do("SUBSCRIBE", "id:1", "destination:/topic/a")
		for _, c := range []struct {
			body string
			kind core.Kind
		}{{"text", core.Text}, {"gr\u00fc\u00dfe", core.Text}, {"\xff\xfe", core.Binary}, {"a\x00b", core.Text}, {"", core.Text}} {
			p.send("SEND", []string{"destination:/topic/a", "content-length:" + strconv.Itoa(len(c.body))}, c.body)
			p.collect()
			if kind := p.kinds[0]; kind != c.kind {
				t.Errorf("body %q came as %v, want %v", c.body, kind, c.kind)
			}
			p.message(c.body)
		}
	})
}

// On a stream frames have no message boundaries, come in pieces of any size, and go out as binary.
func TestStream(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		p := h.peer(core.ConnInfo{Stream: true})
		big := strings.Repeat("0123456789", 10_000)
		all := "CONNECT\naccept-version:1.2\n\n\x00\n\nSUBSCRIBE\nid:1\ndestination:/topic/a\n\n\x00" +
			"SEND\ndestination:/topic/a\n\n" + big + "\x00\r\nSEND\ndestination:/topic/a\n\nsmall\x00"
		for i := 0; i < len(all); i += 999 {
			p.raw(all[i:min(i+999, len(all))])
		}
		p.expect("CONNECTED")
		p.collect()
		if p.kinds[0] != core.Binary {
			t.Error("a stream has binary messages only")
		}
		p.message(big)
		p.message("small")
		p.leave()
		p.ended(nil)
	})
}

func TestPeerLeavesInAFrame(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		p := h.login("1.2")
		p.raw("SEND\ndestination:/queue/a\n\nhal")
		p.leave()
		p.ended(io.ErrUnexpectedEOF)
	})
}

// The last frame is an ERROR that says why, also when the broker ends the session.
func TestGoodbyes(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		a := h.login("1.2", "client-id:x")
		b := h.login("1.2", "client-id:x")
		if f := a.expect("ERROR"); get(f, "reason") != "taken_over" {
			t.Errorf("got %s", text(f))
		}
		a.ended(core.ErrTakenOver)
		b.send("SEND", []string{"destination:/queue/a", "receipt:r"}, "x")
		b.expect("RECEIPT")
		h.stop()
		if f := b.expect("ERROR"); get(f, "reason") != "server_shutdown" {
			t.Errorf("got %s", text(f))
		}
		b.ended(core.ErrShutdown)
		c := h.peer(core.ConnInfo{})
		if f := c.expect("ERROR"); get(f, "reason") != "server_shutdown" {
			t.Errorf("got %s", text(f))
		}
	})
	bubble(t, func(_ *testing.T, h *house) {
		p := h.peer(core.ConnInfo{})
		_ = p.conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // as a transport does
		time.Sleep(11 * time.Second)
		p.expect("ERROR")
		p.ended(core.ErrLoginTimeout)
	})
}

func TestBearerTokens(t *testing.T) {
	for _, header := range []string{"token:bob:x", "access_token:bob:x", "Authorization:Bearer bob:x", "authorization:bearer bob:x"} {
		bubble(t, func(_ *testing.T, h *house) {
			h.login("1.2", header)
			h.peers[0].do("DISCONNECT")
		}, func(o *core.Options, _ *stomp.Config) {
			o.Authenticators = []core.Authenticator{onlyUser("bob:x")}
		})
	}
}

func TestLimits(t *testing.T) {
	limits := core.DefaultLimits()
	limits.Subscriptions, limits.Transactions, limits.TransactionOps, limits.TransactionBytes = 2, 2, 3, 10
	small := func(o *core.Options, _ *stomp.Config) { o.Limits = limits }
	for _, c := range []struct {
		name string
		fn   func(p *peer)
	}{
		{"subscriptions", func(p *peer) {
			for i := range 3 {
				p.do("SUBSCRIBE", "id:"+strconv.Itoa(i), "destination:/topic/a")
			}
		}},
		{"transactions", func(p *peer) {
			for i := range 3 {
				p.do("BEGIN", "transaction:"+strconv.Itoa(i))
			}
		}},
		{"frames of a transaction", func(p *peer) {
			p.do("BEGIN", "transaction:t")
			for range 4 {
				p.do("SEND", "destination:/queue/a", "transaction:t")
			}
		}},
		{"bytes of a transaction", func(p *peer) {
			p.do("BEGIN", "transaction:t")
			p.send("SEND", []string{"destination:/queue/a", "transaction:t"}, "12345678")
			p.send("SEND", []string{"destination:/queue/a", "transaction:t"}, "90a")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			refused := func(t *testing.T, p *peer) {
				t.Helper()
				c.fn(p)
				if f := p.expect("ERROR"); get(f, "reason") != "limit_exceeded" {
					t.Errorf("got %s", text(f))
				}
				p.ended(core.ErrLimit)
			}
			bubble(t, func(t *testing.T, h *house) { refused(t, h.login("1.2")) }, small)
			bubble(t, func(t *testing.T, h *house) { // after a reload
				p := h.login("1.2")
				change, err := h.broker.Prepare(core.Options{Limits: limits, Anonymous: core.AnonymousAlways})
				if err != nil {
					t.Fatal(err)
				}
				change.Apply()
				refused(t, p)
			})
		})
	}
}

// The short verbs of the first brokers.
func TestShortVerbs(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		p := h.login("1.0")
		p.do("SUB", "destination:/topic/a")
		p.send("SEND", []string{"destination:/topic/a"}, "x")
		p.message("x")
		p.do("UNSUB", "destination:/topic/a")
		p.send("SEND", []string{"destination:/topic/a"}, "y")
		p.nothing()
	})
}

// A client of RabbitMQ names a temporary queue in reply-to and is subscribed to it; whoever serves it sees
// a queue that it can send to.
func TestRequestReply(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		server, client := h.login("1.2"), h.login("1.1")
		server.do("SUBSCRIBE", "id:1", "destination:/queue/rpc")
		for range 2 {
			client.send("SEND", []string{"destination:/queue/rpc", "reply-to:/temp-queue/foo", "correlation-id:7"}, "question")
			q := server.message("question")
			if !strings.HasPrefix(get(q, "reply-to"), "/reply-queue/") || !strings.HasSuffix(get(q, "reply-to"), "/foo") {
				t.Errorf("got %s", text(q))
			}
			server.send("SEND", []string{"destination:" + get(q, "reply-to"), "correlation-id:" + get(q, "correlation-id")}, "answer")
			a := client.message("answer")
			if get(a, "subscription") != "/temp-queue/foo" || get(a, "destination") != "/temp-queue/foo" || get(a, "correlation-id") != "7" {
				t.Errorf("got %s", text(a))
			}
		}
		server.do("SUBSCRIBE", "id:2", "destination:/queue/rpc2")
		client.send("SEND", []string{"destination:/queue/rpc2", "reply-to:/temp-queue/foo"}, "x")
		queue := get(server.message("x"), "reply-to")
		server.do("SUBSCRIBE", "id:3", "destination:"+queue)
		if f := server.expect("ERROR"); get(f, "reason") != "not_authorized" {
			t.Errorf("somebody else may read replies: %s", text(f))
		}
	})
}

// A client of ActiveMQ subscribes to its temporary queue itself, before or after.
func TestTemporaryQueueOfActiveMQ(t *testing.T) {
	for _, dialect := range []stomp.Dialect{stomp.ActiveMQ, stomp.Auto} {
		bubble(t, func(t *testing.T, h *house) {
			server, client := h.login("1.2"), h.login("1.2")
			server.do("SUBSCRIBE", "id:1", "destination:/queue/rpc")
			client.do("SUBSCRIBE", "id:mine", "destination:/temp-queue/foo")
			client.send("SEND", []string{"destination:/queue/rpc", "reply-to:/temp-queue/foo"}, "1")
			server.send("SEND", []string{"destination:" + get(server.message("1"), "reply-to")}, "a")
			if f := client.message("a"); get(f, "subscription") != "mine" {
				t.Errorf("got %s", text(f))
			}
			client.send("SEND", []string{"destination:/queue/rpc", "reply-to:/temp-queue/bar"}, "2")
			client.do("SUBSCRIBE", "id:late", "destination:/temp-queue/bar")
			server.send("SEND", []string{"destination:" + get(server.message("2"), "reply-to")}, "b")
			if f := client.message("b"); get(f, "subscription") != "late" {
				t.Errorf("got %s", text(f))
			}
		}, func(_ *core.Options, c *stomp.Config) { c.Dialect = dialect })
	}
}

func TestTemporaryTopic(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		server, client, other := h.login("1.2"), h.login("1.2"), h.login("1.2")
		server.do("SUBSCRIBE", "id:1", "destination:/queue/rpc")
		other.do("SUBSCRIBE", "id:1", "destination:/topic/#")
		client.do("SUBSCRIBE", "id:1", "destination:/temp-topic/news.eu")
		client.send("SEND", []string{"destination:/queue/rpc", "reply-to:/temp-topic/news.eu"}, "1")
		server.send("SEND", []string{"destination:" + get(server.message("1"), "reply-to")}, "a")
		client.message("a")
		other.nothing()
	})
}

// ActiveMQ's lists of destinations, on SEND and on SUBSCRIBE.
func TestComposites(t *testing.T) {
	for _, version := range []string{"1.0", "1.1", "1.2"} {
		t.Run(version, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				a, b := h.login(version), h.login(version)
				a.do("SUBSCRIBE", "id:t", "destination:/topic/c")
				a.send("SEND", []string{"destination:/queue/a,/queue/b,/topic/c", "receipt:1"}, "x")
				a.expect("RECEIPT")
				a.message("x")
				b.do("SUBSCRIBE", "id:1", "destination:/queue/a,/queue/b", "ack:client")
				b.message("x")
				f := b.message("x")
				// Cumulative over both queues.
				ack := []string{"message-id:" + get(f, "message-id"), "subscription:1", "receipt:2"}
				if version == "1.2" {
					ack = []string{"id:" + get(f, "ack"), "receipt:2"}
				}
				b.do("ACK", ack...)
				b.expect("RECEIPT")
				b.do("UNSUBSCRIBE", "id:1", "receipt:3")
				b.expect("RECEIPT")
				a.do("SUBSCRIBE", "id:2", "destination:/queue/a,/queue/b")
				a.nothing()
			})
		})
	}
}

// ActiveMQ's virtual topics: a queue for each group of consumers, filled also by other protocols' publishers.
func TestVirtualTopics(t *testing.T) {
	for _, dialect := range []stomp.Dialect{stomp.ActiveMQ, stomp.Auto} {
		bubble(t, func(t *testing.T, h *house) {
			a, b, c := h.login("1.2"), h.login("1.2"), h.login("1.2")
			a.do("SUBSCRIBE", "id:1", "destination:/queue/Consumer.G.VirtualTopic.orders.>")
			b.do("SUBSCRIBE", "id:1", "destination:/queue/Consumer.H.VirtualTopic.orders.eu")
			c.send("SEND", []string{"destination:/topic/VirtualTopic.orders.eu"}, "1")
			f := a.message("1")
			if get(f, "destination") != "/queue/Consumer.G.VirtualTopic.orders.>" || get(f, "original-destination") != "/topic/VirtualTopic.orders.eu" {
				t.Errorf("got %s", text(f))
			}
			b.message("1")
			c.send("SEND", []string{"destination:/topic/orders.eu"}, "2")
			a.message("2")
			b.message("2")
			a.do("DISCONNECT")
			c.send("SEND", []string{"destination:/topic/VirtualTopic.orders.us"}, "3")
			c.do("SUBSCRIBE", "id:1", "destination:/queue/Consumer.G.VirtualTopic.orders.>")
			c.message("3")
		}, func(_ *core.Options, c *stomp.Config) { c.Dialect = dialect })
	}
}

func TestListenersHaveTheirDialects(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		a, b := h.peer(core.ConnInfo{Listener: "spring"}), h.peer(core.ConnInfo{Listener: "old"})
		a.do("CONNECT", "accept-version:1.2")
		b.do("CONNECT", "accept-version:1.2")
		a.expect("CONNECTED")
		b.expect("CONNECTED")
		a.do("SUBSCRIBE", "id:1", "destination:/chat/**")
		b.send("SEND", []string{"destination:/topic/chat.v1/0"}, "x")
		if f := a.message("x"); get(f, "destination") != "/chat/v1.0" {
			h.t.Errorf("got %s", text(f))
		}
	}, func(_ *core.Options, c *stomp.Config) {
		c.Listeners = map[string]stomp.Listener{"spring": {Dialect: stomp.Slash, DefaultKind: "topic"}, "old": {Dialect: stomp.ActiveMQ}}
	})
}

// With close_on_error: false a full queue costs an ERROR, whenever it turns out.
func TestQueueFullWithoutClose(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		p := h.login("1.2")
		p.send("SEND", []string{"destination:/queue/q", "x-max-length:1"}, "1")
		p.send("SEND", []string{"destination:/queue/q", "receipt:r"}, "2")
		if f := p.expect("ERROR"); get(f, "reason") != "queue_full" || get(f, "receipt-id") != "r" {
			t.Errorf("got %s", text(f))
		}
		p.do("BEGIN", "transaction:t", "receipt:alive")
		p.expect("RECEIPT")
	}, func(_ *core.Options, c *stomp.Config) { c.CloseOnError = false })
}

func TestSniff(t *testing.T) {
	p, err := stomp.New(newHouse(t).broker, stomp.DefaultConfig(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		prefix string
		want   core.Verdict
	}{
		{"", core.More},
		{"\n\r\n", core.More},
		{"C", core.More},
		{"CONNECT", core.More},
		{"CONNECT\n", core.Yes},
		{"\n\nCONNECT\r\n", core.Yes},
		{"STOMP\naccept", core.Yes},
		{"SEND\n", core.Yes},
		{"SUBSCRIBE\nid", core.Yes},
		{"UN", core.More},
		{"CONNECT example.org:443 HTTP/1.1", core.No},
		{"GET / HTTP/1.1", core.No},
		{"\x10\x0c\x00\x04MQTT", core.No},
		{"CONNECTED\n", core.No},
		{"send\n", core.No},
		{"\x16\x03\x01", core.No},
	} {
		if got := p.Sniff([]byte(c.prefix)); got != c.want {
			t.Errorf("Sniff(%q) = %v, want %v", c.prefix, got, c.want)
		}
	}
	mux, err := core.NewMux(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := mux.Select([]string{"v10.stomp", "v11.stomp"}); !ok || got != "v11.stomp" {
		t.Errorf("Select = %q %v, want the best version", got, ok)
	}
	if len(p.Paths()) != 2 {
		t.Errorf("Paths = %q", p.Paths())
	}
}

func TestConfigValidate(t *testing.T) {
	if err := stomp.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	c := stomp.DefaultConfig()
	c.Dialect, c.DefaultKind, c.MaxBody, c.MaxHeaders, c.DrainTimeout = "kermit", "tree", 0, -1, 0
	c.HeartBeat.Tolerance, c.HeartBeat.Send = 0.5, -time.Second
	c.Listeners = map[string]stomp.Listener{"x": {Dialect: "y"}}
	err := c.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range []string{"dialect", "default_kind", "max_body", "max_headers", "drain_timeout", "heart_beat.tolerance", "heart_beat.send", "listeners.x.dialect"} {
		if !strings.Contains(err.Error(), "protocols.stomp."+key+":") {
			t.Errorf("error does not name %s: %v", key, err)
		}
	}
	if _, err := stomp.New(nil, c, nil); err == nil || errors.Is(err, io.EOF) {
		t.Error("New takes an invalid Config")
	}
}

// A client id is one client, whatever it speaks. What another protocol's session keeps for it is still
// there after a visit by STOMP.
func TestKeptSessionOfAnotherProtocol(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		login := core.Login{Protocol: "other", ClientID: "x", Expiry: time.Hour}
		other, err := h.broker.Connect(t.Context(), login, func([]core.Delivery) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		err = other.Subscribe(t.Context(), &core.Subscription{ID: "s", Filter: "topic/a", Durable: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = other.Close()
		p := h.login("1.2", "client-id:x")
		p.do("DISCONNECT")
		p.ended(nil)
		other, err = h.broker.Connect(t.Context(), login, func([]core.Delivery) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if subs, ok := other.Resumed(); !ok || len(subs) != 1 {
			t.Errorf("resumed %v, %d subscriptions; want the one that was kept", ok, len(subs))
		}
		_ = other.Close()
	})
}

// holding keeps sessions from ending.
type holding chan struct{}

func (holding) Name() string   { return "holding" }
func (holding) Ops() []core.Op { return []core.Op{core.OpDisconnect} }

func (h holding) Intercept(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
	<-h
	return next(ctx, c)
}

// When the receipt of DISCONNECT comes the session has ended: no queue hands it anything that would be lost on a
// connection about to close.
func TestReceiptOfDisconnectAfterTheEnd(t *testing.T) {
	var hold holding
	bubble(t, func(t *testing.T, h *house) {
		p := h.login("1.2")
		p.do("SUBSCRIBE", "id:1", "destination:/queue/a")
		p.do("DISCONNECT", "receipt:bye")
		p.nothing()
		close(hold)
		p.expect("RECEIPT")
		p.ended(nil)
	}, func(o *core.Options, _ *stomp.Config) {
		hold = make(holding) // of the bubble
		o.Interceptors = []core.Interceptor{hold}
	})
}
