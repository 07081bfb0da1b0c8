package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// masked makes one frame of a client.
func masked(payload []byte) []byte {
	b := frame(nil, payload)
	head := len(b) - len(payload)
	key := []byte{1, 2, 3, 4}
	out := append(bytes.Clone(b[:head]), key...)
	out[1] |= 0x80
	for i, c := range payload {
		out = append(out, c^key[i&3])
	}
	return out
}

// unframed reads the payload of one frame of the server.
func unframed(t *testing.T, in *bufio.Reader) []byte {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		if _, err := io.ReadFull(in, head); err != nil {
			t.Fatal(err)
		}
		n = int(binary.BigEndian.Uint16(head))
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(in, payload); err != nil {
		t.Fatal(err)
	}
	return payload
}

// client is at the other end of a connection to the server.
func client(t *testing.T, all *audience) (net.Conn, *bufio.Reader) {
	t.Helper()
	theirs, ours := net.Pipe()
	done := make(chan struct{})
	go func() {
		newConn(theirs, all).serve()
		close(done)
	}()
	t.Cleanup(func() {
		ours.Close()
		<-done
	})
	if err := ours.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(ours, "GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(ours)
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455, 1.3
		t.Errorf("accept %q", got)
	}
	return ours, in
}

// TestPasses has what is published reach the subscriber as it was, wherever packets, frames and reads begin and end.
func TestPasses(t *testing.T) {
	var all audience
	c, in := client(t, &all)
	small := append([]byte{0x30, 7, 0, 1, 'a'}, "body"...)
	large := append([]byte{0x30, 0x80 + 1003&0x7f, 1003 >> 7, 0, 1, 'a'}, strings.Repeat("x", 1000)...)
	sent := masked([]byte{0x10, 2, 0, 0})
	sent = append(sent, masked([]byte{0x82, 6, 0, 9, 0, 1, 'a', 0})...)
	stream := append(bytes.Clone(small), large...)
	for _, cut := range []int{3, len(small) + 700} { // neither is where a packet ends
		sent = append(sent, masked(stream[:cut])...)
		stream = stream[cut:]
	}
	sent = append(sent, masked(stream)...)
	written := make(chan error, 1)
	go func() {
		for i := range sent {
			if _, err := c.Write(sent[i : i+1]); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	if got := unframed(t, in); !bytes.Equal(got, []byte{0x20, 2, 0, 0}) {
		t.Errorf("CONNACK %x", got)
	}
	if got := unframed(t, in); !bytes.Equal(got, []byte{0x90, 3, 0, 9, 0}) {
		t.Errorf("SUBACK %x", got)
	}
	if got := unframed(t, in); !bytes.Equal(got, small) {
		t.Errorf("first message %x", got)
	}
	if got := unframed(t, in); !bytes.Equal(got, large) {
		t.Errorf("second message, %d bytes: %.20x", len(got), got)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// TestLeaves takes who has gone out of the audience.
func TestLeaves(t *testing.T) {
	var all audience
	c, in := client(t, &all)
	if _, err := c.Write(masked([]byte{0x82, 6, 0, 9, 0, 1, 'a', 0})); err != nil {
		t.Fatal(err)
	}
	unframed(t, in)
	if n := len(all.members); n != 1 {
		t.Errorf("%d members", n)
	}
	if _, err := c.Write(masked([]byte{0xe0, 0})); err != nil {
		t.Fatal(err)
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("the connection is still open after DISCONNECT")
	}
	// The pipe is closed after the connection has left
	all.mu.RLock()
	defer all.mu.RUnlock()
	if n := len(all.members); n != 0 {
		t.Errorf("%d members", n)
	}
}
