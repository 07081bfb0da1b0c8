//go:build !race

package stomp_test

import (
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// What is delivered is composed in one block.
func TestComposeAllocates(t *testing.T) {
	deliver := stomp.Deliverer(frame.V12, newSink(), "/topic/prices.#", core.AckAuto)
	first := testing.AllocsPerRun(1000, func() {
		if err := deliver(sample(), 0); err != nil {
			t.Fatal(err)
		}
	})
	made := testing.AllocsPerRun(1000, func() { kept = sample() })
	first -= made
	t.Logf("%v allocations", first)
	if first > 6 {
		t.Errorf("the first delivery of a message costs %v allocations, want 6 at most", first)
	}
}

// kept keeps the compiler from making no message at all.
var kept *core.Message
