package mqtt_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/mqtt"
)

// echo is an authentication that asks "who?", then "sure?", and believes the answer.
type echo struct{}

func (echo) Method() string       { return "ECHO" }
func (echo) Begin() mqtt.Exchange { return new(echoing) }

type echoing struct{ step int }

func (e *echoing) Next(_ context.Context, l *core.Login, data []byte) ([]byte, bool, error) {
	e.step++
	switch e.step {
	case 1:
		return []byte("who?"), false, nil
	case 2:
		l.User, l.Password = string(data), "by echo"
		return []byte("sure?"), false, nil
	}
	if string(data) != "yes" {
		return nil, false, errors.New("not sure")
	}
	return []byte("hello"), true, nil
}

func TestAuthentication(t *testing.T) {
	method := propS(0x15, "ECHO")
	auth := func(code byte, data string) []byte {
		return packet(0xF0, []byte{code}, list(props(method, propS(0x16, data))))
	}
	set := func(c *mqtt.Config) { c.Authentications = []mqtt.Authentication{echo{}} }
	conf := setup{config: set, broker: []coretest.Option{coretest.Users(map[string]string{"ann": "by echo"})}}
	begin := func(s *server, answers ...string) *raw {
		c := s.dial(protocoltest.PipeOptions{})
		c.write(hello{props: method}.packet())
		for i, a := range answers {
			p := c.next()
			if want := []string{"who?", "sure?"}[i]; p.first != 0xF0 || p.body[0] != 0x18 || !strings.HasSuffix(string(p.body), want) {
				t.Fatalf("got %s, want AUTH with %q", p, want)
			}
			c.write(auth(0x18, a))
		}
		return c
	}
	t.Run("login", func(t *testing.T) {
		bubble(t, conf, func(t *testing.T, s *server) {
			c := begin(s, "ann", "yes")
			p := c.next()
			if got := connackProps(t, p.body); p.body[1] != 0 || got[0x15] != "\x00\x04ECHO" || got[0x16] != "\x00\x05hello" {
				t.Fatalf("got %s", p)
			}
			c.write(auth(0x19, "")) // again
			c.next()
			c.write(auth(0x18, "ann"))
			c.next()
			c.write(auth(0x18, "yes"))
			if p := c.next(); p.first != 0xF0 || p.body[0] != 0 {
				t.Errorf("got %s, want AUTH success", p)
			}
			c.write(auth(0x18, "more"))
			c.mustEnd(0x82, core.ErrInvalid)
		})
	})
	for name, x := range map[string]struct {
		answers []string
		code    byte
	}{
		"refused by the method": {[]string{"ann", "no"}, 0x87},
		"refused by the broker": {[]string{"bob", "yes"}, 0x86},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, conf, func(t *testing.T, s *server) {
				c := begin(s, x.answers...)
				if p := c.next(); p.first != 0x20 || p.body[1] != x.code {
					t.Errorf("got %s, want CONNACK %#02x", p, x.code)
				}
				c.mustEnd(0, core.ErrLogin)
			})
		})
	}
	t.Run("something else", func(t *testing.T) {
		bubble(t, conf, func(t *testing.T, s *server) {
			c := begin(s, "ann")
			c.next()
			c.write([]byte{0xC0, 0})
			if p := c.next(); p.first != 0x20 || p.body[1] != 0x82 {
				t.Errorf("got %s, want CONNACK protocol error", p)
			}
			c.mustEnd(0, core.ErrInvalid)
		})
	})
}
