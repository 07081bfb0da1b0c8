package core_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
)

// differences compares what a protocol sees of two messages.
func differences(want, got *core.Message) string {
	var diff strings.Builder
	w, g := reflect.ValueOf(want).Elem(), reflect.ValueOf(got).Elem()
	for i := range w.NumField() {
		f := w.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		a, b := w.Field(i).Interface(), g.Field(i).Interface()
		if ta, ok := a.(time.Time); ok {
			tb, _ := b.(time.Time)
			if !ta.Equal(tb) || ta.IsZero() != tb.IsZero() {
				fmt.Fprintf(&diff, "%s: %v, want %v\n", f.Name, tb, ta)
			}
			continue
		}
		if !reflect.DeepEqual(a, b) {
			fmt.Fprintf(&diff, "%s: %v, want %v\n", f.Name, b, a)
		}
	}
	return diff.String()
}

// full is a message of which every field is set, so that none can be forgotten.
func full(t *testing.T) *core.Message {
	t.Helper()
	m := &core.Message{
		Destination: "topic/a", ContentType: "text/plain", Body: []byte("\x00body"), ReplyTo: "queue/r", CorrelationID: "\xff\x00",
		Header:  []core.Field{{Name: "b", Value: "1"}, {Name: "a"}, {Name: "b", Value: "2"}, {Value: "no name"}},
		Expires: time.Unix(1<<40, 1), Visible: time.Unix(-5, 999_999_999), Timestamp: time.Now(),
		Repeat:   &core.Repeat{Period: time.Hour, Count: -1, Cron: "* * * * *"},
		Priority: -4, Persistent: true, ExactlyOnce: true, Retain: true, TextBody: true, Publisher: "p", User: "u", Seq: 1 << 60,
	}
	for v, i := reflect.ValueOf(m).Elem(), 0; i < v.NumField(); i++ {
		if f := v.Type().Field(i); f.IsExported() && v.Field(i).IsZero() {
			t.Fatalf("field %s is not set: set it here, and encode it", f.Name)
		}
	}
	return m
}

// Everything that a message has comes back; what it does not have takes no room.
func TestEncoding(t *testing.T) {
	for name, m := range map[string]*core.Message{"full": full(t), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			got, err := core.DecodeWhole(core.EncodeWhole(m))
			if err != nil {
				t.Fatal(err)
			}
			if diff := differences(m, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if n := len(core.Encode(&core.Message{Destination: "queue/long/name", Body: make([]byte, 100), Seq: 1})); n > 3 {
		t.Errorf("an empty head takes %d bytes", n)
	}
}

// A message of a version that is not known is refused, not guessed at.
func TestEncodingVersion(t *testing.T) {
	b := core.Encode(&core.Message{})
	b[0]++
	if err := core.Decode(new(core.Message), b); err == nil {
		t.Error("a version that does not exist was read")
	}
}

// A subscription comes back with all that matters after the moment of subscribing.
func TestEncodingSubscription(t *testing.T) {
	q := &core.QueueConfig{}
	for v, i := reflect.ValueOf(q).Elem(), 0; i < v.NumField(); i++ {
		set(v.Field(i), i+1)
	}
	want := core.Subscription{}
	v := reflect.ValueOf(&want).Elem()
	for i := range v.NumField() {
		switch v.Type().Field(i).Name {
		case "Data", "Browse", "Passive": // of the moment
		case "Queue":
			want.Queue = q
		default:
			set(v.Field(i), i+1)
		}
	}
	got, err := core.Recoded(&want)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// set sets a field to something that is not zero.
func set(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text ", n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.SetBytes([]byte{byte(n)})
	case reflect.Uint8:
		v.SetUint(uint64(n%2 + 1))
	default:
		v.SetInt(int64(n))
	}
}

// Whatever is read from a disk, decoding it ends well, and what it makes of it can be stored again.
func FuzzDecodeMessage(f *testing.F) {
	f.Add(core.EncodeWhole(&core.Message{}))
	f.Add(core.EncodeWhole(&core.Message{Destination: "queue/q", Header: []core.Field{{Name: "a", Value: "b"}}, Persistent: true}))
	f.Add(core.EncodeWhole(&core.Message{Expires: time.Unix(1, 2), Repeat: &core.Repeat{Cron: "@daily"}, Priority: 5}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := core.DecodeWhole(b)
		if err != nil {
			return
		}
		again := core.EncodeWhole(m)
		m2, err := core.DecodeWhole(again)
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		if diff := differences(m, m2); diff != "" {
			t.Fatal(diff)
		}
		if !bytes.Equal(again, core.EncodeWhole(m2)) {
			t.Fatal("the second encoding is not the first")
		}
	})
}

// The same for queues, sessions and subscriptions.
func FuzzDecodeState(f *testing.F) {
	for _, bucket := range []string{"queues", "sessions", "subscriptions"} {
		for _, b := range []string{"", "\x01", "\x01\x00\x00\x00\x00\x00", "\x01\x1f\x01a\x01b\x01c\x01d\x02\x02\x02\x02\x01m\x00"} {
			f.Add(bucket, []byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, bucket string, b []byte) {
		again, err := core.DecodeState(bucket, b)
		if err != nil {
			return
		}
		twice, err := core.DecodeState(bucket, again)
		if err != nil || !bytes.Equal(again, twice) {
			t.Fatalf("%x became %x, and that %x, %v", b, again, twice, err)
		}
	})
}

// BenchmarkEncoding is what a durable engine costs for each message, and each record that is read.
func BenchmarkEncoding(b *testing.B) {
	m := &core.Message{
		Destination: "queue/jobs", ContentType: "text/plain", Body: body, Timestamp: time.Now(), Persistent: true,
		Header:    []core.Field{{Name: "trace", Value: "0123456789abcdef"}, {Name: "kind", Value: "resize"}},
		Publisher: "wye-ABCDEFGHIJ", Seq: 123456,
	}
	head := core.Encode(m)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			core.Encode(m)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := core.Decode(new(core.Message), head); err != nil {
				b.Fatal(err)
			}
		}
	})
}
