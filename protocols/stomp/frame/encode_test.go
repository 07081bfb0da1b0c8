package frame_test

import (
	"testing"

	"github.com/wyemq/wye/protocols/stomp/frame"
)

func TestAppend(t *testing.T) {
	hard := []frame.Field{{Name: "a:b", Value: "1\n2\r3\\4:5\x006"}}
	for _, c := range []struct {
		v       frame.Version
		command string
		want    string
	}{
		{frame.V10, frame.Message, "MESSAGE\na_b:1 2 3\\4:5 6\n\nx\x00"},
		{frame.V11, frame.Message, "MESSAGE\na\\cb:1\\n2\r3\\\\4\\c5 6\n\nx\x00"},
		{frame.V12, frame.Message, "MESSAGE\na\\cb:1\\n2\\r3\\\\4\\c5 6\n\nx\x00"},
		{frame.V12, frame.Connected, "CONNECTED\na_b:1 2 3\\4:5 6\n\nx\x00"},
		{frame.V12, frame.Connect, "CONNECT\na_b:1 2 3\\4:5 6\n\nx\x00"},
	} {
		got := string(frame.Append(nil, c.v, &frame.Frame{Command: c.command, Header: hard, Body: []byte("x")}))
		if got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.v, c.command, got, c.want)
		}
	}
}

func TestAppendAllocs(t *testing.T) {
	b := make([]byte, 0, 512)
	f := &frame.Frame{Command: frame.Message, Header: []frame.Field{{Name: "a", Value: "b:c"}}, Body: []byte("x")}
	if n := testing.AllocsPerRun(100, func() { b = frame.Append(b[:0], frame.V12, f) }); n != 0 {
		t.Errorf("Append costs %v allocations", n)
	}
}
