package frame_test

import (
	"testing"

	"github.com/wyemq/wye/protocols/stomp/frame"
)

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name string
		in   string
	}{
		{"send=5headers", sendFrame},
		{"ack", "ACK\nid:x8f3a-17\n\n\x00"},
		{"body=16KiB", "SEND\ndestination:/queue/a\ncontent-length:16384\n\n" + string(make([]byte, 16384)) + "\x00"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := frame.NewParser(frame.DefaultLimits())
			p.SetVersion(frame.V12)
			data := []byte(c.in)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if f, _, err := p.Next(data); f == nil || err != nil {
					b.Fatal(f, err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	f := &frame.Frame{Command: frame.Message, Body: []byte("hello world"), Header: []frame.Field{
		{Name: "destination", Value: "/topic/a.b"},
		{Name: "subscription", Value: "sub-0"},
		{Name: "message-id", Value: "17-4"},
		{Name: "content-type", Value: "text/plain"},
		{Name: "x-note", Value: "a:b"},
	}}
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		buf = frame.Append(buf[:0], frame.V12, f)
	}
}
