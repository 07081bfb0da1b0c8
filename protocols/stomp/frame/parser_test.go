package frame_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/protocols/stomp/frame"
)

// parse feeds in to a new parser in pieces of size and returns all frames, deep copied.
func parse(v frame.Version, l frame.Limits, in string, size int) ([]frame.Frame, error) {
	p := frame.NewParser(l)
	p.SetVersion(v)
	var all []frame.Frame
	for len(in) > 0 {
		n := min(size, len(in))
		data := []byte(in[:n])
		in = in[n:]
		for {
			f, rest, err := p.Next(data)
			if err != nil {
				return all, err
			}
			if f == nil {
				break
			}
			all = append(all, frame.Frame{Command: f.Command, Header: append([]frame.Field(nil), f.Header...), Body: f.Body})
			data = rest
		}
	}
	if p.Partial() {
		return all, errors.New("partial")
	}
	return all, nil
}

func show(fs []frame.Frame) string {
	var b strings.Builder
	for _, f := range fs {
		fmt.Fprintf(&b, "%s", f.Command)
		for _, h := range f.Header {
			fmt.Fprintf(&b, " %q=%q", h.Name, h.Value)
		}
		fmt.Fprintf(&b, " %q;", f.Body)
	}
	return b.String()
}

func TestParser(t *testing.T) {
	for _, c := range []struct {
		name string
		v    frame.Version
		in   string
		want string
	}{
		{"heart-beats only", frame.V12, "\n\n\r\n\n", ``},
		{"no headers, no body", frame.V12, "BEGIN\n\n\x00", `BEGIN "";`},
		{"body to NUL", frame.V12, "SEND\ndestination:/queue/a\n\nhello\x00", `SEND "destination"="/queue/a" "hello";`},
		{"content-length with NUL inside", frame.V11, "SEND\ncontent-length:5\n\na\x00b\x00c\x00", `SEND "content-length"="5" "a\x00b\x00c";`},
		{"content-length 0", frame.V12, "SEND\ncontent-length:0\n\n\x00", `SEND "content-length"="0" "";`},
		{"CRLF in 1.2", frame.V12, "SEND\r\na:b\r\n\r\nx\r\n\x00", `SEND "a"="b" "x\r\n";`},
		{"CRLF throughout in 1.1", frame.V11, "SEND\r\na:b\r\n\r\nx\x00", `SEND "a"="b" "x";`},
		{"CR at the end of a value in 1.1", frame.V11, "SEND\na:b\r\n\nx\x00", `SEND "a"="b\r" "x";`},
		{"CRLF before login", frame.Raw, "CONNECT\r\naccept-version:1.1\r\n\r\n\x00\r\n", `CONNECT "accept-version"="1.1" "";`},
		{"coalesced, with trailing line ends", frame.V12, "BEGIN\na:1\n\n\x00\n\n\nABORT\na:2\n\n\x00\r\nACK\n\n\x00\n", `BEGIN "a"="1" "";ABORT "a"="2" "";ACK "";`},
		{"escapes of 1.2", frame.V12, "SEND\n" + `a\cb:1\n2\r3\\4\c5` + "\n\n\x00", `SEND "a:b"="1\n2\r3\\4:5" "";`},
		{"escapes of 1.1", frame.V11, "SEND\n" + `a\cb:1\n2\\4\c5` + "\n\n\x00", `SEND "a:b"="1\n2\\4:5" "";`},
		{"no escapes in 1.0", frame.V10, "SEND\n" + `a:1\n2\q\` + "\n\n\x00", `SEND "a"="1\\n2\\q\\" "";`},
		{"CONNECT is never escaped", frame.V12, "CONNECT\naccept-version:1.2\n" + `passcode:a\qb\` + "\n\n\x00", `CONNECT "accept-version"="1.2" "passcode"="a\\qb\\" "";`},
		{"1.0 trims", frame.V10, "SEND\n a : b c \n\n\x00", `SEND "a"="b c" "";`},
		{"1.1 does not trim", frame.V11, "SEND\n a : b c \n\n\x00", `SEND " a "=" b c " "";`},
		{"1.2 does not trim", frame.V12, "SEND\na: b \n\n\x00", `SEND "a"=" b " "";`},
		{"CONNECT of a 1.0 client is trimmed", frame.Raw, "CONNECT\nlogin: guest\n\n\x00", `CONNECT "login"="guest" "";`},
		{"CONNECT of a later client is not", frame.Raw, "CONNECT\naccept-version:1.2\nlogin: guest\n\n\x00", `CONNECT "accept-version"="1.2" "login"=" guest" "";`},
		{"colon in a value", frame.V12, "SEND\na:b:c\n\n\x00", `SEND "a"="b:c" "";`},
		{"empty value", frame.V12, "SEND\na:\n\n\x00", `SEND "a"="" "";`},
		{"repeats are kept", frame.V12, "SEND\na:1\na:2\n\n\x00", `SEND "a"="1" "a"="2" "";`},
		{"UTF-8", frame.V12, "SEND\nä:ö€𝄞\n\nü\x00", `SEND "ä"="ö€𝄞" "ü";`},
		{"unknown command", frame.V12, "HELLO\n\n\x00", `HELLO "";`},
		{"body that is not UTF-8", frame.V12, "SEND\n\n\xff\xfe\x00", `SEND "\xff\xfe";`},
		{"padded content-length of 1.0", frame.V10, "SEND\ncontent-length: 1 \n\n\x00\x00", `SEND "content-length"="1" "\x00";`},
		{"first content-length counts", frame.V12, "SEND\ncontent-length:1\ncontent-length:9\n\nx\x00", `SEND "content-length"="1" "content-length"="9" "x";`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for size := 1; size <= len(c.in); size++ {
				fs, err := parse(c.v, frame.DefaultLimits(), c.in, size)
				if err != nil {
					t.Fatalf("in pieces of %d: %v", size, err)
				}
				if got := show(fs); got != c.want {
					t.Fatalf("in pieces of %d: got\n%s, want\n%s", size, got, c.want)
				}
			}
		})
	}
}

func TestParserRefuses(t *testing.T) {
	limits := frame.Limits{Headers: 3, HeaderBytes: 100, Body: 10}
	for _, c := range []struct {
		name string
		v    frame.Version
		in   string
		is   error
		says string
	}{
		{"garbage", frame.Raw, strings.Repeat("x", 50), core.ErrInvalid, "no STOMP command"},
		{"TLS hello", frame.Raw, "\x16\x03\x01\x02\x00", core.ErrInvalid, "NUL"},
		{"NUL before the empty line", frame.V12, "SEND\na:b\n\x00", core.ErrInvalid, "empty line"},
		{"long command", frame.V12, strings.Repeat("x", 33) + "\n\n\x00", core.ErrInvalid, ""},
		{"no colon", frame.V12, "SEND\nab\n\n\x00", core.ErrInvalid, `"ab" has no colon`},
		{"no name", frame.V12, "SEND\n:ab\n\n\x00", core.ErrInvalid, "no name"},
		{"bare CR in 1.2", frame.V12, "SEND\na:b\rc\n\n\x00", core.ErrInvalid, "bare CR"},
		{"undefined escape in 1.2", frame.V12, "SEND\n" + `a:b\tc` + "\n\n\x00", core.ErrInvalid, `undefined escape "\\t"`},
		{`\r in 1.1`, frame.V11, "SEND\n" + `a:b\rc` + "\n\n\x00", core.ErrInvalid, "undefined escape"},
		{"escape at the end", frame.V12, "SEND\n" + `a:b\` + "\n\n\x00", core.ErrInvalid, "ends in a backslash"},
		{"undefined escape in a name", frame.V12, "SEND\n" + `a\x:b` + "\n\n\x00", core.ErrInvalid, "undefined escape"},
		{"header that is not UTF-8", frame.V12, "SEND\na:\xff\n\n\x00", core.ErrNotUTF8, ""},
		{"too many headers", frame.V12, "SEND\na:\nb:\nc:\nd:\n\n\x00", core.ErrTooBig, "more than 3 headers"},
		{"headers too long", frame.V12, "SEND\na:" + strings.Repeat("x", 100) + "\n\n\x00", core.ErrTooBig, "headers of more than 100 octets"},
		{"body too long", frame.V12, "SEND\n\n01234567890\x00", core.ErrTooBig, "body of more than 10 octets"},
		{"announced body too long", frame.V12, "SEND\ncontent-length:11\n\n", core.ErrTooBig, "content-length 11"},
		{"content-length beyond 64 bits", frame.V12, "SEND\ncontent-length:99999999999999999999\n\n", core.ErrInvalid, "no length"},
		{"negative content-length", frame.V12, "SEND\ncontent-length:-1\n\n", core.ErrInvalid, "no length"},
		{"no NUL after content-length", frame.V12, "SEND\ncontent-length:2\n\nabc\x00", core.ErrInvalid, "no NUL after the 2 octets"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for size := 1; size <= len(c.in); size++ {
				_, err := parse(c.v, limits, c.in, size)
				if !errors.Is(err, c.is) {
					t.Fatalf("in pieces of %d: got error %v, want one that wraps %q", size, err, c.is)
				}
				// What is wrong first may depend on the pieces for garbage only.
				if size == len(c.in) && !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %q does not say %q", err, c.says)
				}
			}
		})
	}
}

func TestParserErrorIsFinal(t *testing.T) {
	p := frame.NewParser(frame.DefaultLimits())
	_, _, first := p.Next([]byte("SEND\nx\n\n\x00"))
	_, _, again := p.Next([]byte("SEND\n\n\x00"))
	if first == nil || !errors.Is(again, core.ErrInvalid) {
		t.Errorf("got %v, then %v; want the same error twice", first, again)
	}
}

// A body that is announced and never sent must cost no memory.
func TestParserAnnouncedBody(t *testing.T) {
	l := frame.DefaultLimits()
	l.Body = 1 << 30
	n := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p := frame.NewParser(l)
			if _, _, err := p.Next([]byte("SEND\ncontent-length:1073741824\n\nx")); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if n > 64<<10 {
		t.Errorf("a frame that announces 1 GiB costs %d bytes", n)
	}
}

const sendFrame = "SEND\ndestination:/topic/a.b\ncontent-type:text/plain\ncontent-length:11\nreceipt:17\nx-color:blue\n\nhello world\x00\n"

// TestParserAllocs: one for all headers, one for the body; and none for headers that are those of the frame before.
func TestParserAllocs(t *testing.T) {
	other := "SEND\ndestination:/topic/a.c\ncontent-type:text/plain\ncontent-length:11\nreceipt:18\nx-color:blue\n\nhello world\x00\n"
	for _, c := range []struct {
		name   string
		frames []string
		want   float64
	}{
		{"again", []string{sendFrame, sendFrame}, 2},
		{"in turn", []string{sendFrame, other}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := frame.NewParser(frame.DefaultLimits())
			p.SetVersion(frame.V12)
			n := testing.AllocsPerRun(1000, func() {
				for _, text := range c.frames {
					if f, _, err := p.Next([]byte(text)[:len(text):len(text)]); f == nil || err != nil {
						t.Fatal(f, err)
					}
				}
			})
			if n -= float64(len(c.frames)); n > c.want { // without those of the conversion
				t.Errorf("two SENDs of five headers cost %v allocations, want %v", n, c.want)
			}
		})
	}
}

// TestParserAgain has heads that are the same and heads that only begin so, also past a change of limits or version.
func TestParserAgain(t *testing.T) {
	p := frame.NewParser(frame.DefaultLimits())
	p.SetVersion(frame.V12)
	for i, step := range []struct {
		before func()
		text   string
		want   string // header a
		body   string
		again  bool
	}{
		{nil, "SEND\na:1\n\nx\x00", "1", "x", false},
		{nil, "SEND\na:1\n\ny\x00", "1", "y", true},
		{nil, "SEND\na:1\nb:2\n\nz\x00", "1", "z", false},
		{nil, "SEND\na:2\nb:2\n\nz\x00", "2", "z", false},
		{nil, "SEND\na:2\nb:2\n\r\nz\x00", "2", "z", false},
		{nil, "SEND\na:2\ncontent-length:3\n\n\x00\x00\x00\x00", "2", "\x00\x00\x00", false},
		{nil, "SEND\na:2\ncontent-length:3\n\nabc\x00", "2", "abc", true},
		{nil, "ACK\na:2\n\n\x00", "2", "", false},
		{nil, "ACK\na:2\n\n\x00", "2", "", false},
		{nil, "SEND\na:x\\cy\n\n\x00", "x:y", "", false},
		{nil, "SEND\na:x\\cy\n\n\x00", "x:y", "", true},
		{func() { p.SetVersion(frame.V10) }, "SEND\na:x\\cy\n\n\x00", "x\\cy", "", false},
		{p.Forget, "SEND\na:x\\cy\n\n\x00", "x\\cy", "", false},
	} {
		if step.before != nil {
			step.before()
		}
		f, rest, err := p.Next([]byte(step.text))
		if err != nil || f == nil || len(rest) > 0 {
			t.Fatalf("step %d: %v, rest %q, %v", i, f, rest, err)
		}
		if a, _ := f.Get("a"); a != step.want || string(f.Body) != step.body || f.Again != step.again {
			t.Errorf("step %d: a:%s, body %q, again %t; want %s, %q, %t", i, a, f.Body, f.Again, step.want, step.body, step.again)
		}
	}
}
