package wyecmd_test

import (
	"io"
	"strings"
	"time"
)

// mqttLeave is how a connection ends.
type mqttLeave int

const (
	leaveRudely mqttLeave = iota
	leaveInOrder
	leaveWithWill
	leaveByTakeOver
)

// leave ends the connection, but for a take-over, which the next one does.
func (k *mqttTalk) leave(how mqttLeave) {
	k.t.Helper()
	switch how {
	case leaveRudely:
		_ = k.main.nc.Close()
	case leaveInOrder, leaveWithWill:
		if how == leaveInOrder {
			k.main.write("\xe0\x00")
		} else {
			k.main.write("\xe0\x01\x04")
		}
		k.drainEnd()
	case leaveByTakeOver:
	}
}

// drainEnd reads what was on its way to a connection that ends in order.
func (k *mqttTalk) drainEnd() {
	_ = k.main.nc.SetReadDeadline(time.Now().Add(patience))
	for {
		p, err := readMQTT(k.main.in)
		if err != nil {
			if strings.Contains(err.Error(), "timeout") {
				k.t.Fatalf("the connection does not end: %v", err)
			}
			break
		}
		if p.first&0xF0 != 0x30 && p.first&0xF0 != 0x60 {
			k.t.Fatalf("after DISCONNECT: %x", p)
		}
		k.main.heard(p)
	}
	_ = k.main.nc.Close()
}

// ended notes what the end of a connection brings: the will, unless it was a goodbye; one with a delay only if the session ends.
func (k *mqttTalk) ended(how mqttLeave, sessionEnds bool) {
	w := k.main.will
	k.main.will = nil
	if w == nil || how == leaveInOrder || w.delayed && !sessionEnds {
		return
	}
	k.published(w.topic, w.body, w.qos, false)
}

// newWill returns one for the next connection, or none. The mate is there to see it.
func (k *mqttTalk) newWill() *mqttWill {
	n := k.pick(4)
	if n == 0 {
		return nil
	}
	k.friend()
	return &mqttWill{topic: k.willTopic(), body: "will " + k.body(), qos: byte(n - 1), delayed: k.v == 5 && k.pick(2) == 1}
}

// resume goes on with the session on another connection, after the old one or, as a take-over, in its place.
func (k *mqttTalk) resume(how mqttLeave) bool {
	k.leave(how)
	k.back(how)
	return true
}

// back connects again.
func (k *mqttTalk) back(how mqttLeave) {
	k.t.Helper()
	will := k.newWill()
	old, in := k.main.nc, k.main.in
	k.ended(how, false)
	k.main.lost()
	if present := k.main.connect(k.lasting(will)); present != (k.v > 3) {
		k.t.Fatalf("session present: %t", present)
	}
	if how == leaveByTakeOver {
		k.takenOver(old, in)
	}
}

// lost notes what may be lost with a connection.
func (s *mqttSide) lost() {
	s.left, s.held = true, nil
	for topic, list := range s.stored {
		s.perhaps[topic] = append(s.perhaps[topic], list...)
	}
	clear(s.stored)
}

// takenOver wants the old connection to end, in MQTT 5 with a reason.
func (k *mqttTalk) takenOver(old interface {
	io.Closer
	SetReadDeadline(t time.Time) error
}, in io.Reader,
) {
	k.t.Helper()
	_ = old.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(in)
	_ = old.Close()
	if err != nil && strings.Contains(err.Error(), "timeout") {
		k.t.Fatalf("the old connection is still there: %x", rest)
	}
	if k.v == 5 && !strings.Contains(string(rest), "\x8e") {
		k.t.Fatalf("the old connection ends with %x, want DISCONNECT 0x8e", rest)
	}
}

// away lets others publish while the client is not there. What has QoS 0 may be lost then.
func (k *mqttTalk) away(i int) bool {
	mate := k.friend()
	how := []mqttLeave{leaveRudely, leaveInOrder}[k.pick(2)]
	k.leave(how)
	k.ended(how, false)
	k.main.lost()
	for qos := range byte(3) {
		k.send(mate, k.topic(i), qos, false)
	}
	k.back(how)
	return true
}

// anew begins a new session under the same name. Nothing of the old one comes, but for its will.
func (k *mqttTalk) anew(how mqttLeave) bool {
	will := k.newWill()
	old, in := k.main.nc, k.main.in
	k.leave(how)
	k.fresh(how)
	login := k.lasting(will)
	login.clean = true
	if k.v < 5 { // where it ends with the connection
		k.main.connect(mqttLogin{clean: true})
		if how == leaveByTakeOver {
			k.takenOver(old, in)
		}
		k.main.write("\xe0\x00")
		k.main.over()
		login.clean = false
	}
	if k.main.connect(login) {
		k.t.Fatal("the session is there, which was to be ended")
	}
	if how == leaveByTakeOver && k.v == 5 {
		k.takenOver(old, in)
	}
	return true
}

// fresh notes that the session ends.
func (k *mqttTalk) fresh(how mqttLeave) {
	k.ended(how, true)
	k.shared.leave(k.main)
	k.main.forget()
}

// short has a session that ends with its connection, however that ends.
func (k *mqttTalk) short(i int) bool {
	k.leave(leaveInOrder)
	k.fresh(leaveInOrder)
	how := []mqttLeave{leaveRudely, leaveInOrder}[k.pick(2)]
	if k.main.connect(mqttLogin{clean: true, will: k.newWill()}) {
		k.t.Fatal("a clean session was there before")
	}
	k.subscribe(i)
	k.send(k.main, k.topic(i), 1, false)
	k.leave(how)
	k.fresh(how)
	if k.main.connect(k.lasting(nil)) {
		k.t.Fatal("the session is there, which was to end with its connection")
	}
	return true
}

// shortened says at goodbye that the session ends now.
func (k *mqttTalk) shortened(int) bool {
	if k.v < 5 {
		return false
	}
	k.main.write("\xe0\x07\x00\x05\x11\x00\x00\x00\x00")
	k.drainEnd()
	k.fresh(leaveInOrder)
	if k.main.connect(k.lasting(nil)) {
		k.t.Fatal("the session is there, which was ended by DISCONNECT")
	}
	return true
}

// garbage ends what nothing is known about.
func (k *mqttTalk) garbage() {
	k.main.write(k.rest())
	if half, ok := k.main.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		if _, err := io.ReadAll(k.main.in); err != nil && strings.Contains(err.Error(), "timeout") {
			k.t.Fatalf("the end: %v", err)
		}
	}
	if k.mate != nil {
		_ = k.mate.nc.Close()
		k.mate = nil
	}
	for topic := range k.retained {
		k.retained[topic] = mqttRetained{}
	}
	k.forget()
}
