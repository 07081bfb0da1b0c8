package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/coretest"
)

// delayed makes a message come a minute later.
func delayed(m *core.Message) { m.Visible = time.Now().Add(time.Minute) }

// Wills and delayed messages make no more queues than their clients may.
func TestQueuesMadeLater(t *testing.T) {
	const most = 5
	for limit, opt := range map[string]coretest.Option{
		"queues":              coretest.Limits(func(l *core.Limits) { l.Queues = most }),
		"user_durable_queues": coretest.Limits(func(l *core.Limits) { l.UserDurableQueues = most }),
		"max_queues":          func(o *core.Options) { o.VHosts = []core.VHost{{Name: "/", MaxQueues: most}} },
	} {
		for way, send := range map[string]func(w *world, dest string){
			"delayed": func(w *world, dest string) {
				_, err := w.send(w.client(""), dest, "x", delayed)
				w.ok(err)
			},
			"will": func(w *world, dest string) { coretest.Connect(w.T, w.b, core.Login{Will: msg(dest, "x")}).Gone() },
			"delayed will": func(w *world, dest string) {
				l := core.Login{ClientID: "c" + strings.TrimPrefix(dest, "queue/"), Expiry: time.Hour, Will: msg(dest, "x"), WillDelay: time.Minute}
				coretest.Connect(w.T, w.b, l).Gone()
			},
		} {
			t.Run(limit+" "+way, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					for i := range 4 * most {
						send(w, fmt.Sprint("queue/", i))
					}
					w.sleep(2 * time.Minute)
					s := w.b.Stats()
					if len(s.Queues) != most || s.Limits[limit].Refused != 3*most || s.Drops["limit_exceeded"] != 3*most {
						t.Errorf("%d queues, %d refused, dropped: %v", len(s.Queues), s.Limits[limit].Refused, s.Drops)
					}
					send(w, "queue/"+strings.TrimPrefix(s.Queues[0].Name, "queue/")) // is there
					w.sleep(2 * time.Minute)
					if got := w.b.Stats().Limits[limit].Refused; got != 3*most {
						t.Errorf("a queue that is there: %d were refused", got)
					}
				}, opt)
			})
		}
	}
}

// Dead letters get their queue whatever the limits say, and it counts for no user.
func TestQueuesOfBroker(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		w.sub(c, "queue/1", individual)
		w.pub(c, "queue/1", "x")
		w.settle(c, core.Rejected, w.want(c, "x")...)
		w.queue("queue/DLQ.1", 1, 0)
		w.ok(c.Unsubscribe(w.ctx, "queue/1"))
		_, err := w.send(c, "queue/2", "x")
		tooMuch(t, "another one", "limits.queues", err)
	}, coretest.Limits(func(l *core.Limits) { l.Queues, l.UserDurableQueues = 1, 1 }))
}

// A queue that becomes durable later counts from then on, for who makes it so.
func TestDurableLater(t *testing.T) {
	for name, c := range map[string]struct{ group, second string }{"group": {"g", "bea"}, "private": {"", "ali"}} {
		t.Run(name, func(t *testing.T) {
			inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
				login := func(user, client string) *coretest.Client {
					return coretest.Connect(t, w.b, core.Login{User: user, Password: "secret", ClientID: user + client, Expiry: time.Hour})
				}
				later := func(by *coretest.Client, lasting bool) error {
					return by.Subscribe(w.ctx, &core.Subscription{ID: "a", Filter: "topic/a", Group: c.group, Ack: core.AckIndividual, Durable: lasting})
				}
				queue := func(by *coretest.Client) error {
					return by.Subscribe(w.ctx, &core.Subscription{ID: "q", Filter: "queue/of " + by.ID(), Ack: core.AckIndividual})
				}
				const limit = "limits.user_durable_queues"
				first, full := login("ali", ""), login("ali", " full")
				w.ok(later(first, false))
				w.ok(full.Subscribe(w.ctx, &core.Subscription{ID: "full", Filter: "topic/full", Durable: true})) // the first one does not count
				tooMuch(t, "the first one is made durable", limit, later(first, true))
				second := first
				if c.second == "ali" {
					w.ok(full.Unsubscribe(w.ctx, "full"))
				} else {
					second = login(c.second, "")
				}
				w.ok(later(second, true))
				w.ok(later(second, true)) // counts once
				tooMuch(t, "another one", limit, queue(second))
				again(time.Minute)
				second = login(c.second, "")
				tooMuch(t, "another one after a restart", limit, queue(second))
				w.ok(later(second, true))
				w.ok(second.Unsubscribe(w.ctx, "a"))
				if c.group != "" {
					w.ok(second.DeleteGroup(w.ctx, c.group, "topic/a"))
				}
				w.ok(queue(second))
			}, coretest.Users(map[string]string{"ali": "secret", "bea": "secret"}), coretest.Limits(func(l *core.Limits) { l.UserDurableQueues = 1 }))
		})
	}
}

// So it does where nothing outlives the broker.
func TestDurableLaterInMemory(t *testing.T) {
	for name, change := range map[string]func(*core.Subscription){"group": group("g"), "private": func(*core.Subscription) {}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := w.client("c")
				w.sub(c, "topic/a", individual, change)
				w.sub(c, "topic/a", durable, change)
				_, err := w.send(c, "queue/q", "x")
				tooMuch(t, "another one", "limits.user_durable_queues", err)
			}, coretest.Limits(func(l *core.Limits) { l.UserDurableQueues = 1 }))
		})
	}
}

// What is dropped from queues while they are opened is counted, by nobody who must know them first.
func TestRestartDropsAtOnce(t *testing.T) {
	inBoth(t, func(t *testing.T, w *reborn, again func(time.Duration)) {
		const queues = 20
		c := w.client("c")
		for i := range queues {
			w.sub(c, fmt.Sprint("topic/", strings.Repeat("+/", i), "#"), durable, credit(1))
		}
		c.Gone()
		w.pub(w.client(""), "topic/"+strings.Repeat("a/", queues)+"a", strings.Fields(numbers(0, 50))...)
		w.opts = append(w.opts, coretest.Limits(func(l *core.Limits) { l.SessionQueue = 3 }))
		again(time.Minute)
		synctest.Wait()
		s := w.b.Stats()
		if s.Drops["max_length"] != 47*queues || s.Limits["session_queue"].Refused != queues {
			t.Errorf("dropped %v, counted %+v", s.Drops, s.Limits)
		}
	})
}
