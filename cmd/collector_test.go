package wyecmd_test

import (
	"testing"

	wyecmd "github.com/wyemq/wye/cmd"
)

// A small heap may grow by 32 MiB, within reason; a large one is collected as Go would.
func TestPercentFor(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 400},
		{4 << 20, 400},
		{16 << 20, 200},
		{24 << 20, 133},
		{32 << 20, 100},
		{10 << 30, 100},
	} {
		if got := wyecmd.PercentFor(c.live); got != c.want {
			t.Errorf("%d bytes live: %d, want %d", c.live, got, c.want)
		}
	}
}
