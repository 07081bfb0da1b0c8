package stomp_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

// TestSendHeaders has one case for each extension header of SEND, under each of its names.
func TestSendHeaders(t *testing.T) {
	past := strconv.FormatInt(time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), 10)
	soon := strconv.FormatInt(time.Date(2000, 1, 1, 0, 0, 30, 0, time.UTC).UnixMilli(), 10) // bubbles begin with 2000
	for _, c := range []struct {
		header string
		fn     func(t *testing.T, h *house, p *peer, header string)
	}{
		{"expires:" + past, expectExpired(0)},
		{"expires:" + soon, expectExpired(31 * time.Second)},
		{"expires:0", expectKept},
		{"expiration:1000", expectExpired(2 * time.Second)},
		{"ttl:1000", expectExpired(2 * time.Second)},
		{"ttl:0", expectKept},
		{"x-message-ttl:1000", expectExpired(2 * time.Second)},
		{"priority:9", expectFirst},
		{"JMSXGroupID:g", expectHeader("JMSXGroupID:g")},
		{"message_group:g", expectHeader("JMSXGroupID:g")},
		{"correlation-id:c 1", expectHeader("correlation-id:c 1")},
		{"correlation-id:AAH/\ncorrelation-id-encoding:base64", expectHeader("correlation-id:AAH/\ncorrelation-id-encoding:base64")},
		{"correlation-id:YWJj\ncorrelation-id-encoding:base64", expectHeader("correlation-id:abc")},
		{"reply-to:/queue/r", expectHeader("reply-to:/queue/r")},
		{"reply-to:/topic/a.b", expectHeader("reply-to:/topic/a.b")},
		{"reply-to:mailto\\cx", expectHeader("reply-to:mailto:x")},
		{"persistent:true", expectHeader("persistent:true")},
		{"persistent:false", expectNo("persistent")},
		{"priority:7", expectHeader("priority:7")},
		{"content-encoding:gzip", expectHeader("content-encoding:gzip")},
		{"type:order\napp-id:x\nJMSType:y", expectHeader("type:order\napp-id:x\nJMSType:y")},
		{"retain:set", expectRetained},
		{"retain:true", expectRetained},
		{"retained:true", expectRetained},
		{"ActiveMQ.Retain:true", expectRetained},
		{"AMQ_SCHEDULED_DELAY:5000", expectAfter(5 * time.Second)},
		{"AMQ_SCHEDULED_TIME:" + soon, expectAfter(30 * time.Second)},
		{"AMQ_SCHEDULED_CRON:1 0 * * *", expectAfter(time.Minute)},
		{"AMQ_SCHEDULED_DELAY:5000\nAMQ_SCHEDULED_PERIOD:1000\nAMQ_SCHEDULED_REPEAT:2", expectRepeats},
	} {
		t.Run(strings.ReplaceAll(c.header, "\n", " "), func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) { c.fn(t, h, h.login("1.2"), c.header) })
		})
	}
}

func expectExpired(after time.Duration) func(*testing.T, *house, *peer, string) {
	return func(_ *testing.T, _ *house, p *peer, header string) {
		p.send("SEND", []string{"destination:/queue/q", header}, "x")
		time.Sleep(after)
		p.do("SUBSCRIBE", "id:1", "destination:/queue/q")
		p.nothing()
	}
}

func expectKept(_ *testing.T, _ *house, p *peer, header string) {
	p.send("SEND", []string{"destination:/queue/q", header}, "x")
	time.Sleep(24 * time.Hour)
	p.do("SUBSCRIBE", "id:1", "destination:/queue/q")
	p.message("x")
}

func expectFirst(_ *testing.T, _ *house, p *peer, header string) {
	p.send("SEND", []string{"destination:/queue/q"}, "normal")
	p.send("SEND", []string{"destination:/queue/q", header}, "urgent")
	p.do("SUBSCRIBE", "id:1", "destination:/queue/q")
	p.message("urgent")
	p.message("normal")
}

func expectHeader(want string) func(*testing.T, *house, *peer, string) {
	return func(t *testing.T, _ *house, p *peer, header string) {
		p.do("SUBSCRIBE", "id:1", "destination:/queue/q")
		p.send("SEND", []string{"destination:/queue/q", header}, "x")
		f := p.message("x")
		for line := range strings.SplitSeq(want, "\n") {
			if name, value, _ := strings.Cut(line, ":"); get(f, name) != value {
				t.Errorf("got %s, want %s", text(f), line)
			}
		}
	}
}

func expectNo(name string) func(*testing.T, *house, *peer, string) {
	return func(t *testing.T, _ *house, p *peer, header string) {
		p.do("SUBSCRIBE", "id:1", "destination:/queue/q")
		p.send("SEND", []string{"destination:/queue/q", header}, "x")
		if _, ok := func() (string, bool) { f := p.message("x"); return f.Get(name) }(); ok {
			t.Errorf("there is a header %s", name)
		}
	}
}

func expectRetained(t *testing.T, h *house, p *peer, header string) {
	t.Helper()
	p.send("SEND", []string{"destination:/topic/r", header}, "kept")
	q := h.login("1.2")
	q.do("SUBSCRIBE", "id:1", "destination:/topic/*")
	if f := q.message("kept"); get(f, "retained") != "true" {
		t.Errorf("got %s", text(f))
	}
	q.do("UNSUBSCRIBE", "id:1")
	p.send("SEND", []string{"destination:/topic/r", "retain:remove"}, "")
	q.do("SUBSCRIBE", "id:1", "destination:/topic/*")
	q.nothing()
}

func expectAfter(d time.Duration) func(*testing.T, *house, *peer, string) {
	return func(_ *testing.T, _ *house, p *peer, header string) {
		p.do("SUBSCRIBE", "id:1", "destination:/topic/later")
		p.send("SEND", []string{"destination:/topic/later", header, "receipt:r"}, "x")
		p.expect("RECEIPT")
		time.Sleep(d - time.Second)
		p.nothing()
		time.Sleep(2 * time.Second)
		p.message("x")
	}
}

func expectRepeats(_ *testing.T, _ *house, p *peer, header string) {
	p.do("SUBSCRIBE", "id:1", "destination:/topic/later")
	p.send("SEND", []string{"destination:/topic/later", header}, "x")
	time.Sleep(4900 * time.Millisecond)
	p.nothing()
	for range 3 {
		time.Sleep(time.Second)
		p.message("x")
	}
	time.Sleep(time.Hour)
	p.nothing()
}

// Apollo's retain:remove with a body: the message is sent, the retained one goes.
func TestRetainRemoveWithBody(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		p := h.login("1.2")
		p.send("SEND", []string{"destination:/topic/r", "retain:set"}, "kept")
		p.do("SUBSCRIBE", "id:1", "destination:/topic/r")
		p.message("kept")
		p.send("SEND", []string{"destination:/topic/r", "retain:remove", "receipt:1"}, "last")
		p.expect("RECEIPT")
		p.message("last")
		q := h.login("1.2")
		q.do("SUBSCRIBE", "id:1", "destination:/topic/r")
		q.nothing()
		p.message("") // the removal itself, as MQTT sends it
	})
}

func TestHeadersRefused(t *testing.T) {
	for _, header := range []string{
		"priority:10", "priority:high", "expires:-1", "expires:soon", "ttl:-1", "expiration:1.5", "persistent:maybe", "retain:perhaps",
		"AMQ_SCHEDULED_DELAY:-1", "AMQ_SCHEDULED_CRON:every day", "AMQ_SCHEDULED_REPEAT:3", "correlation-id:%\ncorrelation-id-encoding:base64",
		"destination-type:ANYTHING", "x-max-length:-1", "x-overflow:explode", "x-dead-letter-exchange:mine\nx-dead-letter-routing-key:k",
		"x-dead-letter-exchange:amq.topic\nx-dead-letter-routing-key:k", "x-dead-letter-exchange:",
	} {
		t.Run(header, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				p := h.login("1.2")
				p.send("SEND", []string{"destination:/queue/q", header, "receipt:1"}, "x")
				if f := p.expect("ERROR"); get(f, "receipt-id") != "1" || get(f, "reason") != "protocol_error" {
					t.Errorf("got %s", text(f))
				}
				p.ended(core.ErrInvalid)
			})
		})
	}
	for _, header := range []string{
		"ack:never", "prefetch-count:-1", "consumer-window-size:-2", "exclusive:x", "x-priority:high", "selector:a ===", "browser:x",
		"subscription-type:BOTH", "activemq.subscriptionName:no-client-id", "x-expires:-5", "x-max-priority:256", "x-message-ttl:x",
	} {
		t.Run(header, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				p := h.login("1.2")
				p.do("SUBSCRIBE", "id:0", "destination:/topic/q", header, "receipt:1")
				if f := p.expect("ERROR"); get(f, "receipt-id") != "1" || get(f, "reason") != "protocol_error" {
					t.Errorf("got %s", text(f))
				}
				p.ended(core.ErrInvalid)
			})
		})
	}
}

// Durable subscriptions, as each broker's clients ask for them. What was sent while nobody was there is
// delivered, and UNSUBSCRIBE with the same headers deletes it.
func TestDurable(t *testing.T) {
	for _, c := range []struct {
		name, client string
		headers      string
	}{
		{"RabbitMQ", "", "durable:true\nauto-delete:false"},
		{"RabbitMQ, older, and Apollo", "", "persistent:true"},
		{"RabbitMQ with a queue name", "", "durable:true\nx-queue-name:Q"},
		{"ActiveMQ", "client-id:alice", "activemq.subscriptionName:news"},
		{"Artemis", "client-id:alice", "durable-subscription-name:news"},
		{"Artemis, older", "client-id:alice", "durable-subscriber-name:news\nactivemq.subscriptionName:other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				sub := []string{"id:s1", "destination:/topic/news.#", "ack:client"}
				sub = append(sub, strings.Split(c.headers, "\n")...)
				connect := strings.Fields(c.client)
				a := h.login("1.2", connect...)
				a.do("SUBSCRIBE", sub...)
				a.do("DISCONNECT")
				a.ended(nil)
				pub := h.login("1.2")
				pub.send("SEND", []string{"destination:/topic/news.eu"}, "one")
				b := h.login("1.2", connect...)
				b.do("SUBSCRIBE", sub...)
				f := b.message("one")
				b.do("ACK", "id:"+get(f, "ack"))
				b.do(append([]string{"UNSUBSCRIBE", "receipt:u"}, sub...)[0], append(sub, "receipt:u")...)
				b.expect("RECEIPT")
				pub.send("SEND", []string{"destination:/topic/news.eu"}, "two")
				b.do("SUBSCRIBE", sub...)
				b.nothing()
				b.do("DISCONNECT")
				// Deleted from another connection, with the destination.
				d := h.login("1.2", connect...)
				d.do("UNSUBSCRIBE", append(sub, "receipt:u")...)
				d.expect("RECEIPT")
				pub.send("SEND", []string{"destination:/topic/news.eu"}, "three")
				d.do("SUBSCRIBE", sub...)
				d.nothing()
			})
		})
	}
}

// A JMS durable subscription has one consumer; x-queue-name and RabbitMQ's are shared.
func TestDurableSoleOrShared(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		a := h.login("1.2", "client-id:alice")
		a.do("SUBSCRIBE", "id:1", "destination:/topic/a", "activemq.subscriptionName:n")
		a.do("SUBSCRIBE", "id:2", "destination:/topic/a", "activemq.subscriptionName:n")
		if f := a.expect("ERROR"); get(f, "reason") != "in_use" {
			t.Errorf("got %s", text(f))
		}
		b, c, pub := h.login("1.2"), h.login("1.2"), h.login("1.2")
		b.do("SUBSCRIBE", "id:1", "destination:/topic/b", "x-queue-name:G")
		c.do("SUBSCRIBE", "id:1", "destination:/topic/b", "x-queue-name:G")
		for i := range 10 {
			pub.send("SEND", []string{"destination:/topic/b"}, strconv.Itoa(i))
		}
		b.collect()
		c.collect()
		if n, m := len(b.frames), len(c.frames); n == 0 || m == 0 || n+m != 10 {
			t.Errorf("%d and %d messages of 10", n, m)
		}
	})
}

// Apollo's /dsub/ reads a durable subscription by its name.
func TestDsub(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		a, pub := h.login("1.2"), h.login("1.2")
		a.do("SUBSCRIBE", "id:mine", "destination:/topic/a.*", "persistent:true")
		a.do("DISCONNECT")
		pub.send("SEND", []string{"destination:/topic/a.b"}, "x")
		b := h.login("1.2")
		b.do("SUBSCRIBE", "id:1", "destination:/dsub/mine")
		b.message("x")
		b.do("SUBSCRIBE", "id:2", "destination:/dsub/nobody")
		b.expect("ERROR")
		b.ended(core.ErrNotFound)
	})
}

func TestPrefetch(t *testing.T) {
	for _, header := range []string{"prefetch-count:2", "activemq.prefetchSize:2", "credit:2", "credit:2,65536", "consumer-window-size:2048"} {
		t.Run(header, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				p := h.login("1.2")
				for i := range 5 {
					p.send("SEND", []string{"destination:/queue/q"}, strconv.Itoa(i))
				}
				p.do("SUBSCRIBE", "id:1", "destination:/queue/q", "ack:client-individual", header)
				f := p.message("0")
				p.message("1")
				p.nothing()
				p.do("ACK", "id:"+get(f, "ack"))
				p.message("2")
				p.nothing()
			})
		})
	}
	bubble(t, func(_ *testing.T, h *house) {
		p := h.login("1.2")
		for i := range 200 {
			p.send("SEND", []string{"destination:/queue/q"}, strconv.Itoa(i))
		}
		p.do("SUBSCRIBE", "id:1", "destination:/queue/q", "ack:client", "consumer-window-size:-1")
		for i := range 200 {
			p.message(strconv.Itoa(i))
		}
	})
}

func TestSelector(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		p := h.login("1.2")
		p.do("SUBSCRIBE", "id:1", "destination:/topic/a", "selector:color = 'red' AND JMSPriority > 4")
		p.send("SEND", []string{"destination:/topic/a", "color:red"}, "normal")
		p.send("SEND", []string{"destination:/topic/a", "color:blue", "priority:9"}, "blue")
		p.send("SEND", []string{"destination:/topic/a", "color:red", "priority:9"}, "red")
		p.message("red")
		p.nothing()
	})
}

func TestExclusive(t *testing.T) {
	for _, header := range []string{"exclusive:true", "activemq.exclusive:true", "x-single-active-consumer:true"} {
		t.Run(header, func(t *testing.T) {
			bubble(t, func(_ *testing.T, h *house) {
				a, b := h.login("1.2"), h.login("1.2")
				a.do("SUBSCRIBE", "id:1", "destination:/queue/q", header)
				b.do("SUBSCRIBE", "id:1", "destination:/queue/q", header)
				for i := range 4 {
					a.send("SEND", []string{"destination:/queue/q"}, strconv.Itoa(i))
				}
				for i := range 4 {
					a.message(strconv.Itoa(i))
				}
				b.nothing()
				a.do("DISCONNECT")
				b.send("SEND", []string{"destination:/queue/q"}, "next")
				b.message("next")
			})
		})
	}
}

func TestConsumerPriority(t *testing.T) {
	for _, header := range []string{"activemq.priority:10", "x-priority:10"} {
		t.Run(header, func(t *testing.T) {
			bubble(t, func(_ *testing.T, h *house) {
				a, b := h.login("1.2"), h.login("1.2")
				a.do("SUBSCRIBE", "id:1", "destination:/queue/q", "ack:client")
				b.do("SUBSCRIBE", "id:1", "destination:/queue/q", "ack:client", header)
				for i := range 4 {
					a.send("SEND", []string{"destination:/queue/q"}, strconv.Itoa(i))
				}
				for i := range 4 {
					b.message(strconv.Itoa(i))
				}
				a.nothing()
			})
		})
	}
}

func TestNoLocal(t *testing.T) {
	for _, header := range []string{"activemq.noLocal:true", "no-local:true"} {
		t.Run(header, func(t *testing.T) {
			bubble(t, func(_ *testing.T, h *house) {
				a, b := h.login("1.2"), h.login("1.2")
				a.do("SUBSCRIBE", "id:1", "destination:/topic/a", header)
				a.send("SEND", []string{"destination:/topic/a"}, "mine")
				a.nothing()
				b.send("SEND", []string{"destination:/topic/a"}, "yours")
				a.message("yours")
			})
		})
	}
}

func TestBrowser(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		p := h.login("1.2")
		for i := range 3 {
			p.send("SEND", []string{"destination:/queue/q"}, strconv.Itoa(i))
		}
		p.do("SUBSCRIBE", "id:b", "destination:/queue/q", "browser:true")
		for i := range 3 {
			p.message(strconv.Itoa(i))
		}
		if f := p.message(""); get(f, "browser") != "end" || get(f, "subscription") != "b" || get(f, "destination") != "/queue/q" {
			t.Errorf("got %s", text(f))
		}
		p.do("SUBSCRIBE", "id:c", "destination:/queue/q", "browser:true", "browser-end:false")
		for i := range 3 {
			p.message(strconv.Itoa(i))
		}
		p.nothing()
		p.do("SUBSCRIBE", "id:d", "destination:/queue/q")
		p.message("0")
	})
}

func TestRetroactive(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		p := h.login("1.2")
		p.send("SEND", []string{"destination:/topic/r", "retain:set"}, "kept")
		p.do("SUBSCRIBE", "id:1", "destination:/topic/r", "activemq.retroactive:false")
		p.nothing()
		p.do("SUBSCRIBE", "id:2", "destination:/topic/r", "activemq.retroactive:true")
		p.message("kept")
	})
}

// What RabbitMQ's headers say of a queue holds for whoever creates it, by SUBSCRIBE or by SEND.
func TestQueueDeclarations(t *testing.T) {
	dlx := []string{"x-dead-letter-exchange:", "x-dead-letter-routing-key:dead"}
	for _, c := range []struct {
		name    string
		headers []string
		check   func(t *testing.T, p *peer)
	}{
		{"x-message-ttl", []string{"x-message-ttl:1000"}, func(_ *testing.T, p *peer) {
			p.send("SEND", []string{"destination:/queue/q"}, "x")
			time.Sleep(2 * time.Second)
			p.do("SUBSCRIBE", "id:2", "destination:/queue/q")
			p.nothing()
		}},
		{"x-max-length reject-publish", []string{"x-max-length:1", "x-overflow:reject-publish"}, func(t *testing.T, p *peer) {
			p.send("SEND", []string{"destination:/queue/q"}, "1")
			p.send("SEND", []string{"destination:/queue/q", "receipt:full"}, "2")
			if f := p.expect("ERROR"); get(f, "reason") != "queue_full" || get(f, "receipt-id") != "full" {
				t.Errorf("got %s", text(f))
			}
			p.ended(core.ErrQueueFull)
		}},
		{"x-max-length drop-head", []string{"x-max-length:1", "x-overflow:drop-head"}, func(_ *testing.T, p *peer) {
			p.send("SEND", []string{"destination:/queue/q"}, "1")
			p.send("SEND", []string{"destination:/queue/q"}, "2")
			p.do("SUBSCRIBE", "id:2", "destination:/queue/q")
			p.message("2")
			p.nothing()
		}},
		{"x-max-length-bytes", []string{"x-max-length-bytes:5", "x-overflow:drop-head"}, func(_ *testing.T, p *peer) {
			p.send("SEND", []string{"destination:/queue/q"}, "1234")
			p.send("SEND", []string{"destination:/queue/q"}, "5678")
			p.do("SUBSCRIBE", "id:2", "destination:/queue/q")
			p.message("5678")
			p.nothing()
		}},
		{"x-overflow reject-publish-dlx", append(dlx, "x-max-length:1", "x-overflow:reject-publish-dlx"), func(_ *testing.T, p *peer) {
			p.send("SEND", []string{"destination:/queue/q"}, "1")
			p.send("SEND", []string{"destination:/queue/q"}, "2")
			p.do("SUBSCRIBE", "id:2", "destination:/queue/dead")
			p.collect()
			if len(p.frames) != 1 {
				p.h.t.Errorf("%d dead letters, want 1", len(p.frames))
			}
			p.frames = nil
		}},
		{"x-dead-letter-routing-key", dlx, func(_ *testing.T, p *peer) {
			p.send("SEND", []string{"destination:/queue/q"}, "1")
			p.do("SUBSCRIBE", "id:2", "destination:/queue/q", "ack:client")
			f := p.message("1")
			p.do("NACK", "id:"+get(f, "ack"), "requeue:false")
			p.do("SUBSCRIBE", "id:3", "destination:/queue/dead")
			p.message("1")
		}},
		{"x-delivery-limit", []string{"x-delivery-limit:2"}, func(_ *testing.T, p *peer) {
			p.send("SEND", []string{"destination:/queue/q"}, "1")
			p.do("SUBSCRIBE", "id:2", "destination:/queue/q", "ack:client")
			for range 2 {
				p.do("NACK", "id:"+get(p.message("1"), "ack"))
			}
			p.nothing()
			p.do("SUBSCRIBE", "id:3", "destination:/queue/DLQ.q")
			p.message("1")
		}},
		{"x-max-priority", []string{"x-max-priority:10"}, func(_ *testing.T, p *peer) {
			p.send("SEND", []string{"destination:/queue/q", "priority:1"}, "low")
			p.send("SEND", []string{"destination:/queue/q", "priority:9"}, "high")
			p.do("SUBSCRIBE", "id:2", "destination:/queue/q")
			p.message("high")
			p.message("low")
		}},
		{"x-expires", []string{"x-expires:1000"}, func(_ *testing.T, p *peer) {
			p.send("SEND", []string{"destination:/queue/q"}, "1")
			time.Sleep(5 * time.Second)
			p.do("SUBSCRIBE", "id:2", "destination:/queue/q")
			p.nothing()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				p := h.login("1.2")
				p.do("SUBSCRIBE", append([]string{"id:1", "destination:/queue/q"}, c.headers...)...)
				p.do("UNSUBSCRIBE", "id:1")
				c.check(t, p)
			})
		})
	}
	bubble(t, func(t *testing.T, h *house) {
		p := h.login("1.2")
		p.send("SEND", []string{"destination:/queue/q", "x-max-length:1", "x-overflow:drop-head"}, "1")
		p.send("SEND", []string{"destination:/queue/q"}, "2")
		p.do("SUBSCRIBE", "id:2", "destination:/queue/q")
		p.message("2")
		p.nothing()
	})
}

// auto-delete:true: the queue and what is in it go with the last consumer; otherwise they stay.
func TestAutoDelete(t *testing.T) {
	for _, c := range []struct {
		value string
		kept  bool
	}{{"true", false}, {"false", true}} {
		t.Run(c.value, func(t *testing.T) {
			bubble(t, func(_ *testing.T, h *house) {
				p := h.login("1.2")
				p.do("SUBSCRIBE", "id:1", "destination:/queue/q", "ack:client", "auto-delete:"+c.value)
				p.send("SEND", []string{"destination:/queue/q"}, "x")
				p.message("x")
				p.do("UNSUBSCRIBE", "id:1", "receipt:u")
				p.expect("RECEIPT")
				p.do("SUBSCRIBE", "id:2", "destination:/queue/q", "ack:client")
				if c.kept {
					p.message("x")
				}
				p.nothing()
			})
		})
	}
}

func TestArtemisTypes(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		a, b := h.login("1.2"), h.login("1.2")
		a.do("SUBSCRIBE", "id:1", "destination:prices", "subscription-type:MULTICAST")
		b.do("SUBSCRIBE", "id:1", "destination:prices", "subscription-type:MULTICAST")
		a.send("SEND", []string{"destination:prices", "destination-type:MULTICAST"}, "1")
		a.message("1")
		b.message("1")
		a.send("SEND", []string{"destination:jobs", "destination-type:ANYCAST"}, "2")
		b.do("SUBSCRIBE", "id:2", "destination:jobs", "subscription-type:ANYCAST")
		b.message("2")
		// address::queue shares a topic.
		a.do("SUBSCRIBE", "id:3", "destination:news::G", "subscription-type:MULTICAST")
		b.do("SUBSCRIBE", "id:3", "destination:news::G", "subscription-type:MULTICAST")
		a.send("SEND", []string{"destination:/topic/news"}, "3")
		a.collect()
		b.collect()
		if len(a.frames)+len(b.frames) != 1 {
			h.t.Errorf("%d and %d messages, want one in all", len(a.frames), len(b.frames))
		}
	})
}

func TestAmqQueueMustExist(t *testing.T) {
	bubble(t, func(_ *testing.T, h *house) {
		p := h.login("1.2")
		p.send("SEND", []string{"destination:/queue/there"}, "x")
		p.do("SUBSCRIBE", "id:1", "destination:/amq/queue/there")
		p.message("x")
		p.do("SUBSCRIBE", "id:2", "destination:/amq/queue/missing")
		p.expect("ERROR")
		p.ended(core.ErrNotFound)
	})
}

func TestJMSXGroup(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		a, b := h.login("1.2"), h.login("1.2")
		a.do("SUBSCRIBE", "id:1", "destination:/queue/q")
		b.do("SUBSCRIBE", "id:1", "destination:/queue/q")
		for i := range 10 {
			a.send("SEND", []string{"destination:/queue/q", "message_group:g"}, strconv.Itoa(i))
		}
		a.collect()
		b.collect()
		if n, m := len(a.frames), len(b.frames); n+m != 10 || n*m != 0 {
			t.Errorf("one group went to two consumers: %d and %d", n, m)
		}
	})
}
