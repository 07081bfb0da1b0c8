package wyecmd_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

// eachWay runs a test for each protocol over each transport.
func eachWay(t *testing.T, run func(t *testing.T, protocol, via string)) {
	t.Helper()
	for _, protocol := range []string{"stomp", "mqtt"} {
		for _, via := range []string{"tcp", "ws"} {
			t.Run(protocol+"/"+via, func(t *testing.T) { run(t, protocol, via) })
		}
	}
}

// wantLine wants one line about f, with the reason.
func (h *badHouse) wantLine(f *foe, reason string) {
	f.t.Helper()
	if lines := h.of(f, 1); len(lines) != 1 || !strings.Contains(lines[0], " reason="+reason+" ") {
		f.t.Errorf("want one line with reason %s, the log has\n%s", reason, strings.Join(lines, "\n"))
	}
}

// halves are frames that have begun.
func halves(protocol string) []string {
	if protocol == "stomp" {
		return []string{"SEND\ndestin", "SEND\ndestination:/topic/a\ncontent-length:4194304\n\nabc"}
	}
	return []string{"\x30", "\x30" + mqttLength(badBody-10) + "\x00\x01abc"}
}

// TestBadHalves has clients break off in the middle of a frame, before and after login.
func TestBadHalves(t *testing.T) {
	h := openBadHouse(t, nil)
	eachWay(t, func(t *testing.T, protocol, via string) {
		h.undisturbed(t, badPeak)
		for _, half := range append(halves(protocol), map[string]string{"stomp": "CONNE", "mqtt": "\x10\x20\x00\x04MQ"}[protocol]) {
			f := h.foe(t, protocol, via)
			if half[0] != 'C' && half[0] != 0x10 {
				f.login("")
			}
			f.say(half)
			f.close()
			h.wantLine(f, "connection_lost")
		}
	})
}

// TestBadAnnouncements has two hundred clients announce the largest frame there is and send nothing of it: nothing is
// set aside for it.
func TestBadAnnouncements(t *testing.T) {
	h := openBadHouse(t, nil)
	eachWay(t, func(t *testing.T, protocol, via string) {
		h.undisturbed(t, 32<<20) // of 800 MB announced
		foes := make([]*foe, 200)
		for i := range foes {
			foes[i] = h.foe(t, protocol, via)
			foes[i].login("")
			foes[i].say(halves(protocol)[1])
		}
		for _, w := range h.witnesses {
			w.goesOn(t)
		}
		for _, f := range foes {
			f.close()
			h.wantLine(f, "connection_lost")
		}
	})
}

// TestBadFilters subscribes to what is no filter. SUBACK says so, and the connection stays.
func TestBadFilters(t *testing.T) {
	h := openBadHouse(t, nil)
	h.undisturbed(t, badPeak)
	filters := []string{
		"$queue/+", "$queue/#", // queues have no wildcards: that has a code of its own
		"a/#/b", "a/b#", "a+/b", "+a", "", "$share//a", "$share/g", "$share/g/", "$share/g+/a", "$share/g/a/#/b", "$queue/",
		strings.Repeat("a/", 1000),
	}
	for _, level := range []byte{4, 5} {
		want := byte(0x80)
		if level == 5 {
			want = 0x8F
		}
		f := h.foe(t, "mqtt", "tcp")
		f.say(mqttConnect(level, "", 0))
		f.mqttHear(0x20)
		for i, filter := range filters {
			props := "\x00"
			if level == 4 {
				props = ""
			}
			f.say(mqttFrame(0x82, string([]byte{0, byte(i + 1)}), props, mqttText(filter), "\x01"))
			p := f.mqttHear(0x90)
			want := want
			if level == 5 && i < 2 {
				want = 0xA2
			}
			if got := p.body[len(p.body)-1]; got != want {
				t.Errorf("MQTT level %d: SUBACK for %q says 0x%02x, want 0x%02x", level, clipped([]byte(filter)), got, want)
			}
			if level == 5 && p.body[2] == 0 {
				t.Errorf("SUBACK for %q gives no reason", clipped([]byte(filter)))
			}
		}
		f.say("\xc0\x00")
		f.mqttHear(0xD0)
	}
}

// TestManySubscriptions has one client subscribe without end. What is too much is refused, and all of it is forgotten
// when the client leaves. (STOMP: see TestBadInput.)
func TestManySubscriptions(t *testing.T) {
	h := openBadHouse(t, nil)
	h.undisturbed(t, 96<<20)
	f := h.foe(t, "mqtt", "tcp")
	f.login("")
	const each, most = 100, 1000 // limits.private_queues
	granted, refused := 0, 0
	for i := range 120 {
		var b strings.Builder
		for k := range each {
			b.WriteString(mqttText(fmt.Sprintf("many/%d/+/%d/#", k, i)) + "\x01")
		}
		f.say(mqttFrame(0x82, "\x00\x01\x00", b.String()))
		p := f.mqttHear(0x90)
		for _, code := range p.body[len(p.body)-each:] {
			switch code {
			case 1:
				granted++
			case 0x97:
				refused++
			}
		}
	}
	if granted != most || refused != 120*each-most {
		t.Errorf("%d were granted, %d refused", granted, refused)
	}
	f.say("\xe0\x00")
	f.rest()
	f.close()
	h.wantLine(f, "closed")
}

// TestManySelectors has one client subscribe to what others send, with the most expensive selectors there may be. They
// are bounded in all, so that the others do not pay for them.
func TestManySelectors(t *testing.T) {
	h := openBadHouse(t, nil)
	h.undisturbed(t, 64<<20)
	f := h.foe(t, "stomp", "tcp")
	f.login("")
	selector := "selector:a = 'b'" + strings.Repeat(" OR a = 'b'", 1000)
	for i := range 10_000 {
		if f.write(stompFrame("SUBSCRIBE", fmt.Sprint("id:", i), "destination:/topic/witness.#", selector)) != nil {
			break
		}
	}
	f.wantError(f.rest(), core.ErrLimit, "selectors", "20000")
	f.close()
	h.wantLine(f, "limit_exceeded")
	f = h.foe(t, "stomp", "tcp")
	f.login("")
	for i := range 3 { // not as many as there may be: the race detector makes each ten times as expensive
		f.say(stompFrame("SUBSCRIBE", fmt.Sprint("id:", i), "destination:/topic/witness.#", selector))
	}
	f.say(stompFrame("SUBSCRIBE", "id:x", "destination:/topic/x", "receipt:x"))
	f.stompHear("RECEIPT")
	for range 20 {
		for _, w := range h.witnesses {
			w.goesOn(t)
		}
	}
	f.close()
	h.wantLine(f, "closed")
}

// TestManyQueues has clients make queues without end, which would outlive them: by naming them and by subscribing. What is
// too much is refused, and what was there goes on.
func TestManyQueues(t *testing.T) {
	const most = 1000
	h := openBadHouse(t, []string{"--set", "limits.queues=1000"})
	h.undisturbed(t, badPeak)
	s, m := h.foe(t, "stomp", "tcp"), h.foe(t, "mqtt", "tcp")
	s.login("")
	m.login("")
	for i := range 2 * most {
		s.say(stompSend(fmt.Sprintf("/queue/many%d", i), "", "receipt:"+fmt.Sprint(i)))
	}
	said := s.rest()
	s.wantError(said, core.ErrLimit, "limits.queues", "SEND")
	if n := strings.Count(string(said), "RECEIPT\n"); n > most || n < most-100 {
		t.Errorf("%d queues were made, want %d at most", n, most)
	}
	s.close()
	h.wantLine(s, "limit_exceeded")
	for packet, code := range map[string]byte{
		mqttSubscribe(1, "many/a", 1):              0x97,
		mqttSubscribe(1, "many/a", 0):              0,
		mqttPublish("$queue/more", 1, 1, "x"):      0x97,
		mqttPublish("$queue/many0", 1, 1, "x"):     0,
		mqttSubscribe(1, "$share/group/many/a", 1): 0x97,
	} {
		m.say(packet)
		p, err := readMQTT(m.in)
		got := byte(0)
		if p.first == 0x90 {
			got = p.body[len(p.body)-1]
		} else if len(p.body) > 2 {
			got = p.body[2]
		}
		if err != nil || got != code {
			t.Errorf("%q: %x %x, %v, want 0x%x", packet, p.first, p.body, err, code)
		}
	}
	s = h.foe(t, "stomp", "tcp")
	s.login("")
	s.say(stompSend(strings.Repeat("/topic/a,", 1000)+"/topic/a", "x", "receipt:c"))
	s.wantError(s.rest(), core.ErrLimit, "128 destinations", "receipt-id:c")
	s.close()
	h.wantLine(s, "limit_exceeded")
}

// TestManyTransactions has one client send into as many transactions as it may have, more than limits.transaction_bytes
// in all.
func TestManyTransactions(t *testing.T) {
	h := openBadHouse(t, []string{"--set", "limits.transaction_bytes=8388608"})
	for name, send := range map[string]func(tx string) string{
		"bodies": func(tx string) string { return stompSend("/topic/a", strings.Repeat("b", 60_000), "transaction:"+tx) },
		"headers": func(tx string) string {
			return stompSend("/topic/a", "", "transaction:"+tx, "h:"+strings.Repeat("h", 60_000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.undisturbed(t, 40<<20)
			f := h.foe(t, "stomp", "tcp")
			f.login("")
			for i := range 16 {
				tx := fmt.Sprint(i)
				f.say(stompFrame("BEGIN", "transaction:"+tx))
				f.flood(send(tx), 20)
			}
			f.wantError(f.rest(), core.ErrLimit, "8388608")
			f.close()
			h.wantLine(f, "limit_exceeded")
		})
	}
}

// TestNeverReads has subscribers that read nothing while others publish, and publishers that read no acknowledgements.
// They are let go when the write timeout has passed, and what waits for them is bounded.
func TestNeverReads(t *testing.T) {
	h := openBadHouse(t, []string{
		"--set", "limits.outbox_bytes=4194304", "--set", "limits.session_queue_bytes=4194304",
	})
	for name, publish := range map[string]string{
		"bodies":  mqttPublish("flood/a", 0, 0, strings.Repeat("b", 60_000)),
		"headers": mqttFrame(0x30, mqttText("flood/a"), mqttLength(60_000), strings.Repeat("\x26"+mqttText("h")+mqttText(strings.Repeat("v", 594)), 100), "x"),
	} {
		t.Run(name, func(t *testing.T) {
			h.undisturbed(t, 128<<20) // without bounds it is a gigabyte
			var foes []*foe
			for _, via := range []string{"tcp", "ws"} {
				s := h.foe(t, "stomp", via)
				s.login("")
				s.say(stompFrame("SUBSCRIBE", "id:1", "destination:/topic/flood.#", "receipt:s"))
				s.stompHear("RECEIPT")
				s.deaf()
				foes = append(foes, s)
				for _, qos := range []byte{0, 1} {
					m := h.foe(t, "mqtt", via)
					m.login("")
					m.say(mqttSubscribe(1, "flood/#", qos))
					m.mqttHear(0x90)
					m.deaf()
					foes = append(foes, m)
				}
			}
			f := h.foe(t, "mqtt", "tcp")
			f.login("")
			stop := make(chan struct{})
			var flood sync.WaitGroup
			flood.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						if f.write(publish) != nil {
							return
						}
					}
				}
			})
			for _, f := range foes {
				h.wantLine(f, "slow_consumer")
			}
			close(stop)
			flood.Wait()
			f.close()
		})
	}
	t.Run("answers", func(t *testing.T) {
		h.undisturbed(t, badPeak)
		var foes []*foe
		var floods sync.WaitGroup
		for _, via := range []string{"tcp", "ws"} {
			for _, f := range []*foe{h.foe(t, "stomp", via), h.foe(t, "mqtt", via)} {
				f.login("")
				piece := stompSend("/topic/a", "x", "receipt:"+strings.Repeat("r", 1000))
				if f.protocol == "mqtt" {
					f.say(mqttFrame(0x31, mqttText("large"), "\x00", strings.Repeat("r", 60_000))) // retained
					piece = mqttSubscribe(1, "large", 0)
				}
				f.deaf()
				floods.Go(func() { f.flood(piece, 100_000_000) })
				foes = append(foes, f)
			}
		}
		for _, f := range foes {
			h.wantLine(f, "slow_consumer")
			f.close()
		}
		floods.Wait()
	})
}

// TestUnreleased publishes with QoS 2 and never releases: the Receive Maximum is all that is kept.
func TestUnreleased(t *testing.T) {
	h := openBadHouse(t, nil)
	h.undisturbed(t, badPeak)
	f := h.foe(t, "mqtt", "tcp")
	f.login("")
	for i := range 1100 {
		f.say(mqttPublish("a", 2, uint16(i+1), "x"))
	}
	f.wantPacket(f.rest(), badDisconnect+"\x93")
	f.close()
	h.wantLine(f, "protocol_error")
}

// TestTakeOverStorm has a hundred connections log in with one client id at the same time. One of them stays; the others
// are told why they go.
func TestTakeOverStorm(t *testing.T) {
	h := openBadHouse(t, nil)
	eachWay(t, func(t *testing.T, protocol, via string) {
		h.undisturbed(t, badPeak)
		const n = 100
		foes := make([]*foe, n)
		said := make([][]byte, n)
		var reading sync.WaitGroup
		over := make(chan int, n) // each once
		for i := range foes {
			foes[i] = h.foe(t, protocol, via)
		}
		begun := time.Now()
		for i, f := range foes {
			reading.Go(func() {
				if protocol == "stomp" {
					f.say(stompFrame("CONNECT", "accept-version:1.2", "client-id:storm"))
				} else {
					f.say(mqttConnect(5, "storm", 0))
				}
				said[i] = f.rest()
				over <- i
			})
		}
		var gone []int
		for range n - 1 {
			gone = append(gone, <-over)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		for i, f := range foes {
			if slices.Contains(gone, i) {
				if protocol == "stomp" {
					f.wantError(said[i], core.ErrTakenOver)
				} else {
					f.wantPacket(said[i], badDisconnect+"\x8e")
				}
				f.wantClose(core.ErrTakenOver)
				f.close()
				h.wantLine(f, "taken_over")
				continue
			}
			// The one that stays is served.
			if protocol == "stomp" {
				f.say(stompFrame("DISCONNECT", "receipt:bye"))
			} else {
				f.say("\xc0\x00\xe0\x00")
			}
			reading.Wait()
			if end := string(said[i]); !strings.HasSuffix(strings.TrimRight(end, "\x00\n"), "receipt-id:bye") && !strings.HasSuffix(end, "\xd0\x00") {
				t.Errorf("the last one heard %q", end)
			}
			f.close()
			h.wantLine(f, "closed")
		}
	})
}
