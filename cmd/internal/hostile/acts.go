package hostile

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wyemq/wye/cmd/internal/peer"
)

func neverLogsIn(ctx context.Context, f *foe) error {
	nc, err := f.dial(ctx, []string{"stomp", "mqtt", "websocket"}[f.r.IntN(3)])
	if err != nil {
		return err
	}
	return untilClosed(nc)
}

func slowLogin(ctx context.Context, f *foe) error {
	nc, err := f.dial(ctx, []string{"stomp", "websocket"}[f.r.IntN(2)])
	if err != nil {
		return err
	}
	defer nc.Close()
	for range 1000 {
		if _, err := io.WriteString(nc, "G"); err != nil {
			return err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// noise is where foes make each other's load.
const noise = "noise"

func neverReads(ctx context.Context, f *foe) error {
	nc, err := f.raw(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	for i, filter := range []string{"/topic/#", "/topic/" + noise + ".#"} {
		if _, err := fmt.Fprintf(nc, "SUBSCRIBE\nid:%d\nack:%s\ndestination:%s\n\n\x00", i, []string{"auto", "client"}[i], filter); err != nil {
			return err
		}
	}
	for range 60 { // it says that it is alive, and reads nothing
		if _, err := io.WriteString(nc, "\n"); err != nil {
			return err
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func readsSlowly(ctx context.Context, f *foe) error {
	c, err := f.login(ctx, peer.MQTT, peer.Login{Clean: true})
	if err != nil {
		return err
	}
	defer c.Abort()
	nothing := func(*peer.Packet) error { return nil }
	if err := c.Subscribe(peer.Subscription{Filter: "#"}, nothing); err != nil {
		return err
	}
	for {
		if err := c.ReadBatch(nothing); err != nil {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func hugeFrames(ctx context.Context, f *foe) error {
	switch f.r.IntN(3) {
	case 0:
		nc, err := f.raw(ctx)
		if err != nil {
			return err
		}
		_, _ = io.WriteString(nc, "SEND\ndestination:/topic/"+noise+"\ncontent-length:1073741824\n\n")
		_, _ = nc.Write(make([]byte, 1<<20)) // it may be over by now
		return untilClosed(nc)
	case 1:
		nc, err := f.dial(ctx, "mqtt")
		if err != nil {
			return err
		}
		_, _ = nc.Write([]byte("\x10\xff\xff\xff\x7f"))
		return untilClosed(nc)
	default:
		nc, err := f.upgrade(ctx, "")
		if err != nil {
			return err
		}
		_, _ = nc.Write(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, 1<<40))
		return untilClosed(nc)
	}
}

func halfFrame(ctx context.Context, f *foe) error {
	nc, err := f.raw(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "SEND\ndestination:/topic/"+noise+"\ncontent-length:1000000\n\n")
	_, _ = nc.Write(bytes.Repeat([]byte("x"), 999_000))
	return pause(ctx, time.Duration(1+f.r.IntN(10))*time.Second)
}

func subscribeFlood(ctx context.Context, f *foe) error {
	c, err := f.login(ctx, peer.MQTT5, peer.Login{Clean: true, Expiry: time.Minute})
	if err != nil {
		return err
	}
	defer c.Abort()
	for i := range 3000 {
		// What is refused is no reason to stop.
		err := c.Subscribe(peer.Subscription{Filter: fmt.Sprintf("%s/%d/+/%d/#", noise, f.n, i), QoS: byte(i % 2)}, func(*peer.Packet) error { return nil })
		if err != nil && ctx.Err() != nil {
			return err
		}
		if i%100 == 0 && c.Ping() != nil {
			return io.ErrClosedPipe
		}
	}
	return nil
}

func everything(ctx context.Context, f *foe) error {
	c, err := f.login(ctx, peer.MQTT5, peer.Login{Clean: true})
	if err != nil {
		return err
	}
	for _, filter := range []string{"#", "+/#", "+/+", "+", "+/+/#", "guest/+", "guest/#"} {
		if err := c.Subscribe(peer.Subscription{Filter: filter}, func(*peer.Packet) error { return nil }); err != nil {
			c.Abort()
			return err
		}
	}
	return listen(c)
}

func selectorBomb(ctx context.Context, f *foe) error {
	nc, err := f.raw(ctx)
	if err != nil {
		return err
	}
	bomb := "a = 'b'" + strings.Repeat(" OR a LIKE '%b%c%d%e%f%'", 500)
	deep := strings.Repeat("(", 20_000) + "a = 'b'" + strings.Repeat(")", 20_000)
	for i := range 200 {
		selector := bomb
		if i%20 == 19 {
			selector = deep
		}
		if _, err := fmt.Fprintf(nc, "SUBSCRIBE\nid:%d\ndestination:/topic/guest.#\nselector:%s\n\n\x00", i, selector); err != nil {
			break // refused
		}
	}
	return untilClosed(nc)
}

func takeOver(ctx context.Context, f *foe) error {
	c, err := f.login(ctx, f.spoken(), peer.Login{ClientID: fmt.Sprint("stolen-", f.r.IntN(5)), Expiry: time.Minute})
	if err != nil {
		return err
	}
	defer c.Abort()
	_ = c.Subscribe(peer.Subscription{ID: "0", Filter: "/topic/" + noise, QoS: 1, Ack: "client"}, func(*peer.Packet) error { return nil })
	return pause(ctx, time.Duration(f.r.IntN(50))*time.Millisecond)
}

func halfOpen(ctx context.Context, f *foe) error {
	c, err := f.login(ctx, peer.MQTT5, peer.Login{Clean: true, KeepAlive: time.Second})
	if err != nil {
		return err
	}
	defer c.Abort()
	_ = c.Subscribe(peer.Subscription{Filter: noise + "/#", QoS: 1}, func(*peer.Packet) error { return nil })
	return pause(ctx, time.Duration(2+f.r.IntN(10))*time.Second) // neither reads nor says anything
}

// upgrade opens a WebSocket by hand; extensions are offered if given.
func (f *foe) upgrade(ctx context.Context, extensions string) (net.Conn, error) {
	nc, err := f.dial(ctx, "websocket")
	if err != nil {
		return nil, err
	}
	request := "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: v12.stomp\r\n"
	if extensions != "" {
		request += "Sec-WebSocket-Extensions: " + extensions + "\r\n"
	}
	if _, err := io.WriteString(nc, request+"\r\n"); err != nil {
		_ = nc.Close()
		return nil, err
	}
	var b [1024]byte
	if _, err := nc.Read(b[:]); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc, nil
}

// clientFrame is a frame of RFC 6455 with a mask of zeros.
func clientFrame(first byte, payload []byte) []byte {
	b := []byte{first, 0x80 | 127}
	b = binary.BigEndian.AppendUint64(b, uint64(len(payload)))
	return append(append(b, 0, 0, 0, 0), payload...)
}

// bombs are what compressionBomb sends: the login, and 64 MiB of nothing.
var bombs = sync.OnceValue(func() [2][]byte {
	return [2][]byte{
		clientFrame(0xc1, deflated([]byte("CONNECT\naccept-version:1.2\nhost:/\n\n\x00"))),
		clientFrame(0xc1, deflated([]byte("SEND\ndestination:/topic/"+noise+"\n\n"), make([]byte, 64<<20))),
	}
})

// deflated is what RFC 7692 makes of a message.
func deflated(parts ...[]byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // the level is one there is
	for _, p := range parts {
		_, _ = w.Write(p) // never fails
	}
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

func compressionBomb(ctx context.Context, f *foe) error {
	nc, err := f.upgrade(ctx, "permessage-deflate; client_no_context_takeover; server_no_context_takeover")
	if err != nil {
		return err
	}
	if f.r.IntN(2) == 0 { // else before the login
		_, _ = nc.Write(bombs()[0])
	}
	_, _ = nc.Write(bombs()[1])
	return untilClosed(nc)
}

func guesses(ctx context.Context, f *foe) error {
	nc, err := f.dial(ctx, "stomp")
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(nc, "CONNECT\naccept-version:1.2\nhost:/\nlogin:%s\npasscode:%d\n\n\x00", known, f.r.Int())
	return untilClosed(nc)
}

func publishFlood(ctx context.Context, f *foe) error {
	c, err := f.login(ctx, f.spoken(), peer.Login{Clean: true})
	if err != nil {
		return err
	}
	body := bytes.Repeat([]byte("x"), 16<<10)
	dest := noise + "/" + strconv.Itoa(f.n)
	go func() { _ = listen(c) }() // until the connection ends
	for i := range 100_000 {
		pub := peer.Publication{Destination: dest, Body: body, QoS: byte(i % 2), Confirm: i%2 == 1}
		if err := c.Publish(pub, uint32(i%60000)+1); err != nil {
			return err
		}
	}
	return nil
}

func headerBomb(ctx context.Context, f *foe) error {
	nc, err := f.raw(ctx)
	if err != nil {
		return err
	}
	_, _ = io.WriteString(nc, "SEND\ndestination:/topic/"+noise+"\n"+strings.Repeat("a:b\n", 100_000)+"\n\x00")
	return untilClosed(nc)
}

func queueFlood(ctx context.Context, f *foe) error {
	c, err := f.login(ctx, peer.MQTT, peer.Login{ClientID: fmt.Sprint("foe-", f.n, "-", f.r.IntN(100))})
	if err != nil {
		return err
	}
	go func() { _ = listen(c) }() // until the connection ends
	for i := range 2000 {
		name := fmt.Sprint(f.n, "/", i)
		queue := peer.Publication{Destination: "$queue/" + name, Body: make([]byte, 100), QoS: 1}
		kept := peer.Publication{Destination: "kept/" + name, Body: make([]byte, 100), Retain: true}
		if c.Publish(queue, uint32(i%60000)+1) != nil || c.Publish(kept, 0) != nil {
			return io.ErrClosedPipe
		}
	}
	return nil
}

func transactions(ctx context.Context, f *foe) error {
	nc, err := f.raw(ctx)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for i := range 20 {
		fmt.Fprintf(&b, "BEGIN\ntransaction:%d\n\n\x00", i)
		for range 20 {
			fmt.Fprintf(&b, "SEND\ntransaction:%d\ndestination:/topic/%s\n\n%s\x00", i, noise, strings.Repeat("x", 20_000))
		}
	}
	_, _ = nc.Write(b.Bytes())
	return untilClosed(nc)
}

func garbage(ctx context.Context, f *foe) error {
	nc, err := f.dial(ctx, []string{"stomp", "mqtt", "websocket"}[f.r.IntN(3)])
	if err != nil {
		return err
	}
	b := make([]byte, 4096)
	for i := range b {
		b[i] = byte(f.r.Int())
	}
	_, _ = nc.Write(b)
	return untilClosed(nc)
}

func drops(ctx context.Context, f *foe) error {
	c, err := f.login(ctx, f.spoken(), peer.Login{Clean: true})
	if err != nil {
		return err
	}
	c.Abort()
	return nil
}
