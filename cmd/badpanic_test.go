package wyecmd_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/corefx"
)

// panicky is a protocol that panics where its clients say: in ServeConn, in its DeliverFunc, in a done.
type panicky struct{ broker *core.Broker }

func newPanicky(b *core.Broker) *panicky { return &panicky{b} }

func (*panicky) Name() string           { return "panicky" }
func (*panicky) Subprotocols() []string { return []string{"panicky"} }

func (p *panicky) ServeConn(ctx context.Context, c core.Conn) error {
	s, err := p.broker.Connect(ctx, core.Login{Protocol: "panicky", Conn: c}, func([]core.Delivery) error { panic("in deliver") })
	if err != nil {
		return err
	}
	defer s.Close()
	c.LoggedIn()
	for {
		_, r, err := c.NextReader()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		word := make([]byte, 5)
		if _, err := io.ReadFull(r, word); err != nil {
			return err
		}
		switch string(word) {
		case "serve":
			_ = word[len(word):][0]
		case "deliv":
			err = s.Subscribe(ctx, &core.Subscription{ID: "1", Filter: "topic/panicky"})
			if err == nil {
				err = s.Publish(ctx, &core.Message{Destination: "topic/panicky", Body: []byte("x")}, nil)
			}
		case "done!":
			err = s.Publish(ctx, &core.Message{Destination: "queue/panicky", Body: []byte("x"), Persistent: true},
				func(core.Published, error) { panic("in done") })
		}
		if err != nil {
			return err
		}
	}
}

// panics is an interceptor that panics when a client or a destination is called panic-….
type panics struct{}

func newPanics() panics { return panics{} }

func (panics) Name() string { return "panics" }
func (panics) Ops() []core.Op {
	return []core.Op{core.OpConnect, core.OpPublish, core.OpSubscribe, core.OpDeliver, core.OpDisconnect}
}

func (panics) Intercept(ctx context.Context, c *core.Call, next func(context.Context, *core.Call) error) error {
	marked := strings.HasPrefix(c.Principal.ClientID, "panic-"+c.Op.String())
	if c.Message != nil {
		marked = strings.HasSuffix(c.Message.Destination, "panic-"+c.Op.String())
	} else if c.Subscription != nil {
		marked = strings.HasSuffix(c.Subscription.Filter, "panic-"+c.Op.String())
	}
	if marked {
		panic("in " + c.Op.String())
	}
	return next(ctx, c)
}

// TestPanics has a protocol and an interceptor of somebody's own panic wherever they are called. It costs the connection
// that was served; its client is told, and the log has one line with the stack and one about the end.
func TestPanics(t *testing.T) {
	h := openBadHouse(t, []string{
		"--set", "listeners.panicky.uri=tcp://127.0.0.1:0", "--set", "listeners.panicky.protocols=panicky",
	}, corefx.Protocol(newPanicky), corefx.Interceptor(newPanics))
	for _, via := range []string{"panicky", "ws"} {
		for _, word := range []string{"serve", "deliv", "done!"} {
			t.Run("protocol/"+via+"/"+word, func(t *testing.T) {
				h.undisturbed(t, badPeak)
				var f *foe
				if via == "ws" {
					f = h.foeAt(t, "", "/", map[string][]string{}, "panicky")
					f.kind = websocket.TextMessage
				} else {
					f = h.foe(t, "", via)
				}
				f.say(word)
				f.rest()
				f.close()
				f.wantClose(core.ErrInternal)
				h.wantStack(f, map[string]string{"serve": "out of range", "deliv": "in deliver", "done!": "in done"}[word])
			})
		}
	}
	eachWay(t, func(t *testing.T, protocol, via string) {
		for _, c := range []struct{ op, id, stomp, mqtt, packet string }{
			{"connect", "panic-connect", stompFrame("CONNECT", "client-id:panic-connect"), mqttConnect(5, "panic-connect", 0), badConnack + "\x83"},
			{"publish", "", stompSend("/queue/panic-publish", "x"), mqttPublish("$queue/panic-publish", 1, 1, "x"), badDisconnect + "\x83"},
			{"subscribe", "", stompFrame("SUBSCRIBE", "id:1", "destination:/topic/panic-subscribe"), mqttSubscribe(1, "panic-subscribe", 1), badDisconnect + "\x83"},
			{
				"deliver", "",
				stompFrame("SUBSCRIBE", "id:1", "destination:/topic/panic-deliver") + stompSend("/topic/panic-deliver", "x"),
				mqttSubscribe(1, "panic-deliver", 0) + mqttPublish("panic-deliver", 0, 0, "x"), badDisconnect + "\x80",
			},
		} {
			t.Run(c.op, func(t *testing.T) {
				h.undisturbed(t, badPeak)
				f := h.foe(t, protocol, via)
				if c.op != "connect" {
					f.login("")
				}
				if protocol == "stomp" {
					f.say(c.stomp)
					f.wantError(f.rest(), core.ErrInternal)
				} else {
					f.say(c.mqtt)
					f.wantPacket(f.rest(), c.packet, "internal error")
				}
				f.wantClose(core.ErrInternal)
				f.close()
				h.wantStack(f, "in "+c.op)
			})
		}
		t.Run("disconnect", func(t *testing.T) {
			h.undisturbed(t, badPeak)
			for range 2 { // the client id is free again
				f := h.foe(t, protocol, via)
				f.login("panic-disconnect")
				f.close()
				if lines := h.of(f, 2); !strings.Contains(lines[0], "in disconnect") || !strings.Contains(lines[0], "stack=") {
					t.Errorf("the log has\n%s", strings.Join(lines, "\n"))
				}
			}
		})
	})
}

// wantStack wants a line with what was panicked with and a stack, and one about the end of the connection.
func (h *badHouse) wantStack(f *foe, what string) {
	f.t.Helper()
	lines := h.of(f, 2)
	if l := lines[0]; len(lines) != 2 || !strings.Contains(l, "level=ERROR") || !strings.Contains(l, what) || !strings.Contains(l, "goroutine ") || !strings.Contains(l, "badpanic_test.go") {
		f.t.Errorf("want one line with the stack and %q, the log has\n%s", what, strings.Join(lines, "\n"))
	}
	if l := lines[len(lines)-1]; !strings.Contains(l, "reason=internal_error ") || !strings.Contains(l, "connection closed") {
		f.t.Errorf("want a line with reason internal_error, the log has\n%s", l)
	}
}
