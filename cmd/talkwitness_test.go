package wyecmd_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stompWitness sends messages to itself by STOMP.
type stompWitness struct {
	nc net.Conn
	in *bufio.Reader
	n  int
}

func newStompWitness(t testing.TB, addr string) *stompWitness {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	w := &stompWitness{nc: nc, in: bufio.NewReader(nc)}
	_, _ = io.WriteString(nc, stompFrame("CONNECT", "accept-version:1.2", "host:/", "heart-beat:0,0", "login:witness", "passcode:"+talkPassword("witness"))+
		stompFrame("SUBSCRIBE", "id:w", "destination:/queue/witness", "ack:auto", "receipt:w"))
	for range 2 {
		if f, err := w.in.ReadString(0); err != nil || strings.Contains(f, "ERROR") {
			t.Fatalf("witness: %q, %v", f, err)
		}
	}
	return w
}

// round sends one message, and waits for it.
func (w *stompWitness) round() error {
	w.n++
	_ = w.nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(w.nc, stompSend("/queue/witness", strconv.Itoa(w.n))); err != nil {
		return fmt.Errorf("STOMP: %w", err)
	}
	f, err := w.in.ReadString(0)
	if err != nil || !strings.HasSuffix(f, "\n\n"+strconv.Itoa(w.n)+"\x00") {
		return fmt.Errorf("STOMP: got %q, %w, want message %d", f, err, w.n)
	}
	return nil
}

// mqttWitness does it by MQTT, with QoS 1.
type mqttWitness struct {
	nc net.Conn
	in *bufio.Reader
	n  int
}

func newMQTTWitness(t testing.TB, addr string) *mqttWitness {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	w := &mqttWitness{nc: nc, in: bufio.NewReader(nc)}
	_, _ = io.WriteString(nc, mqttFrame(0x10, mqttText("MQTT"), "\x05\xc2\x00\x00\x00", mqttText("witness"), mqttText("witness"), mqttText(talkPassword("witness")))+mqttSubscribe(1, "witness/+", 1))
	for range 2 {
		if p, err := readMQTT(w.in); err != nil || p.body[len(p.body)-1] >= 0x80 {
			t.Fatalf("witness: %x, %v", p, err)
		}
	}
	return w
}

func (w *mqttWitness) round() error {
	w.n++
	_ = w.nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(w.nc, mqttPublish("witness/"+strconv.Itoa(w.n%7), 1, uint16(w.n%60000)+1, strconv.Itoa(w.n))); err != nil {
		return fmt.Errorf("MQTT: %w", err)
	}
	for acked, came := false, false; !acked || !came; {
		p, err := readMQTT(w.in)
		if err != nil {
			return fmt.Errorf("MQTT: %w", err)
		}
		switch p.first & 0xF0 {
		case 0x40:
			acked = true
		case 0x30:
			id, body, ok := p.publish()
			if !ok || body != strconv.Itoa(w.n) {
				return fmt.Errorf("MQTT: got %q, want message %d", p.body, w.n)
			}
			came = true
			if _, err := io.WriteString(w.nc, mqttFrame(0x40, string([]byte{byte(id >> 8), byte(id)}))); err != nil {
				return fmt.Errorf("MQTT: %w", err)
			}
		default:
			return fmt.Errorf("MQTT: got packet %x", p.first)
		}
	}
	return nil
}
