package tries_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core/internal/tries"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("198.51.100.7")
	cfg   = tries.Config{Free: 2, First: time.Second, Most: 30 * time.Second, Hold: 2 * time.Second, Forget: 10 * time.Minute}
)

// guess is a try that fails, and how long it took; refused is how long it had to wait to be looked at.
func guess(t *testing.T, g *tries.Guard, from netip.Addr, user string) (took, refused time.Duration) {
	t.Helper()
	begun := time.Now()
	_, err := g.Wait(t.Context(), from, user)
	if many := new(tries.TooManyError); errors.As(err, &many) {
		return time.Since(begun), many.After
	}
	if err != nil {
		t.Fatal(err)
	}
	g.Failed(from, user)
	return time.Since(begun), 0
}

func TestGrowingDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := tries.New(cfg)
		for i, want := range []time.Duration{0, 0, 1, 2} { // held
			if took, refused := guess(t, g, here, "ali"); took != want*time.Second || refused != 0 {
				t.Errorf("try %d took %v, turned away for %v", i+1, took, refused)
			}
		}
		for i, want := range []time.Duration{4, 8, 16, 30, 30} { // turned away
			took, refused := guess(t, g, here, "ali")
			if took != 0 || refused != want*time.Second {
				t.Errorf("try %d took %v, turned away for %v, want %v", i+5, took, refused, want*time.Second)
			}
			time.Sleep(refused)
			if took, refused = guess(t, g, here, fmt.Sprint("other", i)); took != 0 || refused != 0 {
				t.Errorf("try %d, later: took %v, turned away for %v", i+5, took, refused)
			}
		}
		if took, refused := guess(t, g, there, "bob"); took != 0 || refused != 0 {
			t.Errorf("elsewhere: took %v, turned away for %v", took, refused)
		}
		time.Sleep(11 * time.Minute)
		if took, refused := guess(t, g, here, "ali"); took != 0 || refused != 0 {
			t.Errorf("after eleven minutes: took %v, turned away for %v", took, refused)
		}
	})
}

// However many addresses guess at a user, who knows the password gets in, after a moment.
func TestNobodyIsLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := tries.New(cfg)
		g.Passed(there, "ali")
		for i := range 200 {
			guess(t, g, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), "ali")
		}
		for name, c := range map[string]struct {
			from netip.Addr
			most time.Duration
		}{
			"from where he has got in before": {there, 0},
			"from elsewhere":                  {here, cfg.Hold},
		} {
			begun := time.Now()
			if _, err := g.Wait(t.Context(), c.from, "ali"); err != nil || time.Since(begun) > c.most {
				t.Errorf("%s: %v after %v", name, err, time.Since(begun))
			}
		}
		// The failures of others at an address do not count for who is known there, his own do.
		for range 20 {
			guess(t, g, there, "eve")
		}
		if held, err := g.Wait(t.Context(), there, "ali"); held || err != nil {
			t.Errorf("behind others' failures: held %v, %v", held, err)
		}
		g.Failed(there, "ali")
		if _, err := g.Wait(t.Context(), there, "ali"); err == nil {
			t.Error("after a failure of his own he does not wait")
		}
	})
}

// What is tried at the same time does not slip through.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := tries.New(cfg)
		guess(t, g, here, "a")
		guess(t, g, here, "b")
		guess(t, g, here, "c")
		var mu sync.Mutex
		looked := 0
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := g.Wait(t.Context(), here, "d"); err == nil {
					mu.Lock()
					looked++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if looked != 1 {
			t.Errorf("%d tries were looked at, want 1", looked)
		}
	})
}

func TestHeldTriesEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := tries.New(cfg)
		for range 3 {
			guess(t, g, here, "ali")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if held, err := g.Wait(ctx, here, "ali"); !held || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("held %v, %v", held, err)
		}
	})
}

// One IPv6 network is one address, and IPv4 in IPv6 is IPv4.
func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			a, b string
			same bool
		}{
			{"2001:db8::1", "2001:db8::ffff:1", true},
			{"2001:db8::1", "2001:db8:0:1::1", false},
			{"192.0.2.1", "::ffff:192.0.2.1", true},
			{"192.0.2.1", "192.0.2.2", false},
		} {
			g := tries.New(cfg)
			for range 4 {
				guess(t, g, netip.MustParseAddr(c.a), "")
			}
			if _, err := g.Wait(t.Context(), netip.MustParseAddr(c.b), ""); (err != nil) != c.same {
				t.Errorf("%s after %s: %v", c.b, c.a, err)
			}
		}
	})
}

// A flood of addresses and names takes bounded memory, and the newest failures stay.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := tries.New(cfg)
		for i := range 200_000 {
			from := netip.AddrFrom4([4]byte{byte(10 + i>>24), byte(i >> 16), byte(i >> 8), byte(i)})
			g.Failed(from, fmt.Sprint("user", i))
			g.Passed(from, fmt.Sprint("user", i))
		}
		if n := g.Entries(); n > 3<<16 {
			t.Errorf("%d entries", n)
		}
		for range 4 {
			g.Failed(here, "ali")
		}
		if _, err := g.Wait(t.Context(), here, "ali"); err == nil {
			t.Error("failures behind a flood do not count")
		}
	})
}

func TestNoGuard(t *testing.T) {
	g := tries.New(tries.Config{Free: 2})
	for range 100 {
		if held, err := g.Wait(t.Context(), here, "ali"); held || err != nil {
			t.Fatal(held, err)
		}
		g.Failed(here, "ali")
	}
	g.Passed(here, "ali")
}

// The fourth failure makes the next try wait longer than it would be held.
func Example() {
	g := tries.New(tries.Config{Free: 3, First: 5 * time.Second, Most: time.Minute, Hold: time.Second, Forget: time.Hour})
	from := netip.MustParseAddr("203.0.113.9")
	for range 4 {
		held, err := g.Wait(context.Background(), from, "ali")
		fmt.Println(held, err)
		g.Failed(from, "ali")
	}
	// Output:
	// false <nil>
	// false <nil>
	// false <nil>
	// false too many failed logins from this address, try again in 5s
}
