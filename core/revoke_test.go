package core_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// fickle lets everybody in for ten minutes, and changes its mind when it is told to.
type fickle struct {
	revoke func(again func(core.Principal) (core.Principal, error))
	asked  func() // called while somebody is asked about
}

func (*fickle) Name() string { return "fickle" }

func (f *fickle) Authenticate(context.Context, *core.Login) (core.Principal, error) {
	if f.asked != nil {
		f.asked()
	}
	return core.Principal{Name: "ann", Expires: time.Now().Add(10 * time.Minute)}, nil
}

func (f *fickle) OnRevoke(fn func(again func(core.Principal) (core.Principal, error))) { f.revoke = fn }

// TestReviewed goes on with the credentials that a client has, when it is found to be in other groups: they still end.
func TestReviewed(t *testing.T) {
	f := &fickle{}
	inMemory(t, func(t *testing.T, w *world) {
		c := coretest.Connect(t, w.b, core.Login{ClientID: "c", Token: "x"})
		w.sleep(time.Minute)
		f.revoke(func(p core.Principal) (core.Principal, error) {
			p.Groups = []string{"ops"}
			return p, nil
		})
		synctest.Wait()
		if p := c.Principal(); len(p.Groups) != 1 || p.Name != "ann" {
			t.Errorf("is %+v", p)
		}
		w.sleep(8 * time.Minute)
		if c.Conn.Why() != nil {
			t.Fatalf("ended early: %v", c.Conn.Why())
		}
		w.sleep(2 * time.Minute)
		if why := c.Conn.Why(); !errors.Is(why, core.ErrTokenExpired) {
			t.Errorf("ended with %v", why)
		}
	}, func(o *core.Options) { o.Authenticators = []core.Authenticator{f} })
}

// TestRevokedWhileRefreshing ends a session that is told to be another one while users change.
func TestRevokedWhileRefreshing(t *testing.T) {
	f := &fickle{}
	inMemory(t, func(t *testing.T, w *world) {
		c := coretest.Connect(t, w.b, core.Login{ClientID: "c", Token: "x"})
		f.asked = func() {
			f.revoke(func(p core.Principal) (core.Principal, error) { return p, nil })
			synctest.Wait()
		}
		if err := c.Refresh(w.ctx, core.Login{Token: "y"}); !errors.Is(err, core.ErrRevoked) {
			t.Errorf("refreshed: %v", err)
		}
		if why := c.Conn.Why(); !errors.Is(why, core.ErrRevoked) {
			t.Errorf("ended with %v", why)
		}
	}, func(o *core.Options) { o.Authenticators = []core.Authenticator{f} })
}
