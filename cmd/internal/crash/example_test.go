package crash_test

import (
	"fmt"

	"github.com/wyemq/wye/cmd/internal/crash"
)

// A message was confirmed, delivered and acknowledged, and the acknowledgement confirmed; then it comes again.
func ExampleCheck() {
	var h crash.History
	m := crash.Message{Publisher: "alice", N: 1}
	h.Add(crash.Event{Kind: crash.Sent, Client: "alice", Message: m, Dest: "/queue/jobs", QoS: 1})
	h.Add(crash.Event{Kind: crash.Confirmed, Client: "alice", Message: m})
	first := h.Add(crash.Event{Kind: crash.Received, Client: "bob", Message: m, Place: "jobs"})
	h.Add(crash.Event{Kind: crash.Settled, Client: "bob", Delivery: first})
	h.Add(crash.Event{Kind: crash.SettleConfirmed, Client: "bob", Delivery: first})
	again := h.Add(crash.Event{Kind: crash.Received, Client: "bob", Message: m, Place: "jobs", Flagged: true})
	h.Add(crash.Event{Kind: crash.Settled, Client: "bob", Delivery: again})

	for _, v := range crash.Check([]crash.Place{{Name: "jobs", From: "/queue/jobs"}}, h.Events()) {
		fmt.Println(v.Rule, v.Message, v.Place)
	}
	// Output: delivered after its settlement was confirmed alice/1 jobs
}
