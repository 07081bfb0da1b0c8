package protocoltest

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// The forms of a name in the configuration and of a token of RFC 6455, section 4.1, item 10.
var (
	nameForm  = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	tokenForm = regexp.MustCompile("^[0-9A-Za-z!#$%&'*+.^_`|~-]+$")
)

// describe: what a protocol says of itself makes sense and does not change.
func describe(t *testing.T, s *Suite) {
	for c := range s.Missing {
		if !known(c) {
			t.Errorf("Suite.Missing names %q, which is no capability", c)
		}
	}
	e := newEnv(t, s)
	name, tokens := e.proto.Name(), slices.Clone(e.proto.Subprotocols())
	if !nameForm.MatchString(name) {
		t.Errorf("Name is %q, want lower case letters, digits, - and _", name)
	}
	seen := make(map[string]bool)
	for _, token := range tokens {
		if !tokenForm.MatchString(token) {
			t.Errorf("subprotocol %q is no token", token)
		}
		if lower := strings.ToLower(token); seen[lower] {
			t.Errorf("subprotocol %q is there twice", token)
		} else {
			seen[lower] = true
		}
	}
	again := s.New(e.broker)
	for what, p := range map[string]core.Protocol{"a second call": e.proto, "another instance": again} {
		if p.Name() != name || !slices.Equal(p.Subprotocols(), tokens) {
			t.Errorf("%s says %q %q, the first said %q %q", what, p.Name(), p.Subprotocols(), name, tokens)
		}
	}
	if p, ok := e.proto.(core.Pather); ok {
		for _, path := range p.Paths() {
			if !strings.HasPrefix(path, "/") || path != "/" && strings.HasSuffix(path, "/") {
				t.Errorf("path %q must begin with / and not end with it", path)
			}
		}
	}
	if p, ok := e.proto.(core.Sniffer); ok && p.Sniff(nil) == core.Yes {
		t.Error("Sniff says Yes to nothing at all")
	}
	if len(tokens) == 0 && !s.Pipe.Stream {
		t.Log("without subprotocols: WebSocket clients reach the protocol by path or by its first bytes only")
	}
}

// loggedIn: a client that says nothing is shown out, one that has logged in is not, and then the
// limits of the time before no longer hold.
func loggedIn(t *testing.T, s *Suite) {
	e := newEnv(t, s)
	o := s.Pipe.withDefaults()
	silent, from, to := e.dial(), e.connect(), e.connect()
	to.subscribe("topic/kit/a")
	time.Sleep(o.LoginTimeout + soon)
	if _, err, ok := silent.peer.Closed(0); ok && !errors.Is(err, core.ErrLoginTimeout) {
		t.Errorf("no login: ServeConn returned %v, want an error that wraps ErrLoginTimeout", err)
	}
	body := bytes.Repeat([]byte("x"), int(o.MaxBeforeLogin)+1000)
	if err := from.Publish("topic/kit/a", body); err != nil {
		t.Fatalf("publish %s after the login: %v", o.LoginTimeout+soon, from.ended(err))
	}
	to.expect("topic/kit/a", body)
}

// refused: a client that the authenticators refuse is told, and served nothing.
func refused(t *testing.T, s *Suite) {
	e := newEnv(t, s, coretest.Authenticate(coretest.Deny))
	c := e.dial()
	_ = c.Connect(Login{}) // an error, if the protocol has a message for it
	c.end("login refused", core.ErrLogin)
	if n := e.broker.Stats().Sessions; n != 0 {
		t.Errorf("there are %d sessions after a refused login", n)
	}
}

// credentials: name and password reach the authenticators.
func credentials(t *testing.T, s *Suite) {
	e := newEnv(t, s, coretest.Users(map[string]string{"ann": "secret"}))
	ann := e.dial()
	if err := ann.Connect(Login{User: "ann", Password: "secret"}); err != nil {
		t.Fatalf("login with the right password: %v", ann.ended(err))
	}
	ann.subscribe("topic/kit/a")
	ann.publish("topic/kit/a", []byte("x"))
	ann.expect("topic/kit/a", []byte("x"))
	for _, l := range []Login{{User: "ann", Password: "wrong"}, {User: "bob", Password: "secret"}, {}} {
		c := e.dial()
		if err := c.Connect(l); err == nil {
			t.Errorf("login as %+v: no error", l)
		}
		c.end(fmt.Sprintf("login as %+v", l), core.ErrLogin)
	}
}

const (
	secret   = "topic/kit/secret"
	readonly = "topic/kit/readonly"
)

// denied: who does what the authorizers do not allow is told, and nothing happens.
func denied(t *testing.T, s *Suite) {
	e := newEnv(t, s,
		coretest.Authorize(coretest.DenyOn(core.OpSubscribe, secret)),
		coretest.Authorize(coretest.DenyOn(core.OpPublish, readonly)))
	others := e.pair()
	plain := e.plain(core.Login{})
	if err := plain.Subscribe(e.ctx, &core.Subscription{ID: "1", Filter: "topic/kit/#"}); err != nil {
		t.Fatal(err)
	}
	try := func(what string, op func(c *conn) error) {
		t.Helper()
		c := e.connect()
		c.mark()
		err := op(c)
		synctest.Wait()
		others.exchange()
		synctest.Wait()
		plain.Next(t) // what the others have exchanged, and nothing else
		plain.Nothing(t)
		switch _, _, over := c.peer.Closed(0); {
		case over:
			c.end(what, core.ErrDenied)
		case err == nil && c.peer.told() == c.told:
			t.Errorf("%s: the client was not told", what)
		}
	}
	try("subscribe denied", func(c *conn) error { return c.Subscribe(secret) })
	try("publish denied", func(c *conn) error { return c.Publish(readonly, []byte("x")) })
	if _, ok := s.Missing[Confirms]; !ok {
		try("confirmed publish denied", func(c *conn) error {
			err := c.confirmer().PublishConfirmed(readonly, []byte("x"))
			if err == nil && !e.lacks(Refusals) {
				t.Error("a publish that is denied was confirmed")
			}
			return err
		})
	}
	e.publish(plain, &core.Message{Destination: secret, Body: []byte("for few")})
	plain.Next(t)
	others.exchange()
}
