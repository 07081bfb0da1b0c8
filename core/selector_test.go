package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wyemq/wye/core"
)

// DESIGN §4: selectors, on queues, topics and durable subscriptions; a non-matching head blocks nobody.
func TestSelector(t *testing.T) {
	for name, change := range map[string]func(*core.Subscription){
		jobs:             individual,
		"topic/a":        func(*core.Subscription) {},
		"topic/a acked":  individual,
		"topic/a kept":   durable,
		"topic/a shared": group("g"),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(_ *testing.T, w *world) {
				dest, _, _ := strings.Cut(name, " ")
				p, c := w.client(""), w.client("c")
				w.sub(c, dest, change, selector("color = 'red' AND size BETWEEN 2 AND 3"))
				for i, color := range []string{"blue", "red", "red", "blue", "red"} {
					_, err := w.send(p, dest, fmt.Sprint(i), header("color", color), header("size", fmt.Sprint(i)))
					w.ok(err)
				}
				w.want(c, "2")
				if dest == jobs {
					w.queue(jobs, 4, 1)
				}
			})
		})
	}
}

// DESIGN §4: a bad selector is an error that shows the position.
func TestBadSelector(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		err := c.Subscribe(w.ctx, &core.Subscription{ID: "1", Filter: jobs, Selector: "a = = 1"})
		if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "a = = 1") && !strings.ContainsAny(err.Error(), "456") {
			t.Errorf("subscribe: %v", err)
		}
		if n := w.b.Stats().Subscriptions; n != 0 {
			t.Errorf("there are %d subscriptions", n)
		}
	})
}

// DESIGN §4: selectors see headers and the names of JMS.
func TestSelectorNames(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.client("")
		m := msg("topic/a", "x")
		m.Header = []core.Field{{Name: "type", Value: "order"}, {Name: "n", Value: "1"}, {Name: "n", Value: "2"}}
		m.CorrelationID, m.ReplyTo, m.ContentType, m.Priority = "c1", "queue/r", "text/plain", core.PriorityOf(7)
		m.Expires = time.Now().Add(time.Hour)
		for i, text := range []string{
			"JMSPriority = 7", "JMSCorrelationID = 'c1'", "JMSReplyTo LIKE 'queue/%'", "JMSDestination = 'topic/a'",
			"JMSTimestamp > 0", "JMSExpiration > JMSTimestamp", "JMSDeliveryMode = 'PERSISTENT'", "JMSType = 'order'",
			"type IN ('order', 'bill')", "n = '1'", "absent IS NULL", "JMSXUserID IS NULL", "NOT (absent = 'x') OR n IS NOT NULL",
		} {
			w.ok(c.Subscribe(w.ctx, &core.Subscription{ID: fmt.Sprint(i), Filter: "topic/a", Selector: text}))
			w.ok(c.Publish(w.ctx, m.Clone(), nil))
			synctest.Wait()
			if c.Len() != 1 {
				t.Errorf("%s does not match", text)
			}
			c.NextN(t, c.Len())
			w.ok(c.Unsubscribe(w.ctx, fmt.Sprint(i)))
		}
	})
}
