//go:build !race

package mqtt_test

import (
	"fmt"
	"testing"
)

// TestPublishAllocs: what a PUBLISH costs on its way from octets through the broker to octets for a subscriber.
func TestPublishAllocs(t *testing.T) {
	const burst = 100
	for _, c := range []struct {
		v, qos byte
		most   float64
	}{
		{4, 0, 1.5},
		{5, 0, 1.5},
		{4, 1, 17},
		{5, 1, 19},
	} {
		t.Run(fmt.Sprintf("version %d, QoS %d", c.v, c.qos), func(t *testing.T) {
			_, p := benchServer(t)
			sub := serve(t, p, hello{v: c.v}.packet(), subscribePacket(c.v, "a/b", c.qos))
			if c.qos == 1 {
				sub.onByte = acker(sub)
			}
			pub := serve(t, p, hello{v: c.v}.packet())
			r := raw{v: c.v}
			var batch []byte
			for id := range uint16(burst) {
				var pid []byte
				if c.qos > 0 {
					pid = u16(id + 1)
				}
				batch = append(batch, packet(0x30|c.qos<<1, str("a/b"), pid, r.properties(), []byte("0123456789abcdef"))...)
			}
			per := testing.AllocsPerRun(50, func() {
				want := sub.bytes.Load() + int64(len(batch))
				pub.in <- batch
				sub.await(want)
			}) / burst
			t.Logf("%.2f allocations", per)
			if per > c.most {
				t.Errorf("%.2f allocations, want %v at most", per, c.most)
			}
		})
	}
}
