package stomp_test

import (
	"testing"

	"github.com/wyemq/wye/core"
)

func TestFirstSteps(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		for _, v := range []string{"1.0", "1.1", "1.2"} {
			p := h.login(v)
			p.do("SUBSCRIBE", "id:1", "destination:/topic/a.*", "receipt:s")
			p.expect("RECEIPT")
			p.send("SEND", []string{"destination:/topic/a.b", "receipt:17", "x:y"}, "hello")
			f := p.expect("MESSAGE")
			g := p.expect("RECEIPT")
			if get(g, "receipt-id") != "17" {
				t.Error(text(g))
			}
			t.Log(text(f))
			if get(f, "destination") != "/topic/a.b" || get(f, "subscription") != "1" || get(f, "x") != "y" || string(f.Body) != "hello" {
				t.Errorf("got %s", text(f))
			}
			p.send("SEND", []string{"destination:/queue/q", "receipt:18"}, "hello")
			p.expect("RECEIPT")
			p.do("SUBSCRIBE", "id:2", "destination:/queue/q", "ack:client")
			m := p.expect("MESSAGE")
			t.Log(text(m))
			if v == "1.2" {
				p.do("ACK", "id:"+get(m, "ack"), "receipt:a")
			} else {
				p.do("ACK", "message-id:"+get(m, "message-id"), "subscription:2", "receipt:a")
			}
			p.expect("RECEIPT")
			p.do("DISCONNECT", "receipt:bye")
			p.expect("RECEIPT")
			p.ended(nil)
		}
		p := h.peer(core.ConnInfo{})
		p.send("SEND", []string{"destination:/queue/a"}, "x")
		t.Log(text(p.expect("ERROR")))
		p.ended(core.ErrInvalid)
	})
}
