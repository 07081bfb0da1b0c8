package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/protocoltest"
	"github.com/wyemq/wye/protocols/mqtt"
)

// pahoConn is the client's end of a Pipe as paho wants it.
type pahoConn struct {
	*protocoltest.Peer
	mu       sync.Mutex
	rest     []byte
	deadline time.Time
}

func dialPaho(t *testing.T, p *mqtt.Protocol) *pahoConn {
	t.Helper()
	c := &pahoConn{Peer: protocoltest.Serve(t.Context(), p, protocoltest.PipeOptions{Stream: true})}
	t.Cleanup(func() { c.Abort(); <-c.Done() })
	return c
}

func (c *pahoConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		for {
			c.mu.Lock()
			limit := c.deadline
			c.mu.Unlock()
			wait := 50 * time.Millisecond
			if !limit.IsZero() {
				wait = min(wait, time.Until(limit))
			}
			_, data, err := c.Receive(wait)
			if err == nil {
				c.rest = data
				break
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || !limit.IsZero() && !time.Now().Before(limit) {
				return 0, err
			}
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *pahoConn) Write(b []byte) (int, error) {
	if err := c.Send(core.Binary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *pahoConn) Close() error                     { c.Peer.Close(); return nil }
func (c *pahoConn) LocalAddr() net.Addr              { return c.Info().Remote }
func (c *pahoConn) RemoteAddr() net.Addr             { return c.Info().Local }
func (c *pahoConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (*pahoConn) SetWriteDeadline(_ time.Time) error { return nil }
func (c *pahoConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

const pahoWait = 20 * time.Second

// await returns the next value; the clients have goroutines of their own, in real time.
func await[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(pahoWait):
		t.Fatal("nothing came")
	}
	return v
}

// fresh returns the next message that is no duplicate: a client that leaves may not have sent its last acknowledgement.
func fresh[M interface{ Duplicate() bool }](t *testing.T, ch <-chan M) M {
	t.Helper()
	for {
		if m := await(t, ch); !m.Duplicate() {
			return m
		}
	}
}

// paho.golang speaks MQTT 5.
func TestPaho5(t *testing.T) {
	_, p := benchServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), pahoWait)
	defer cancel()
	got := make(chan *paho.Publish, 100)
	bye := make(chan *paho.Disconnect, 10)
	var last *pahoConn
	connect := func(id string, cp *paho.Connect) (*paho.Client, *paho.Connack) {
		last = dialPaho(t, p)
		c := paho.NewClient(paho.ClientConfig{
			ClientID: id, Conn: packets.NewThreadSafeConn(last),
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
				got <- r.Packet
				return true, nil
			}},
			OnServerDisconnect: func(d *paho.Disconnect) { bye <- d },
		})
		cp.ClientID, cp.KeepAlive = id, 30
		ack, err := c.Connect(ctx, cp)
		if err != nil {
			t.Fatalf("connect %s: %v", id, err)
		}
		return c, ack
	}
	keep := uint32(60)
	sub, _ := connect("sub", &paho.Connect{CleanStart: true, Properties: &paho.ConnectProperties{SessionExpiryInterval: &keep}})
	first := last
	id := 7
	ack, err := sub.Subscribe(ctx, &paho.Subscribe{
		Properties:    &paho.SubscribeProperties{SubscriptionIdentifier: &id},
		Subscriptions: []paho.SubscribeOptions{{Topic: "a/+", QoS: 2}, {Topic: "$share/g/s", QoS: 1}},
	})
	if err != nil || string(ack.Reasons) != "\x02\x01" {
		t.Fatalf("subscribe: %v %v", ack, err)
	}
	pub, _ := connect("pub", &paho.Connect{CleanStart: true})
	for qos := range byte(3) {
		expires := uint32(100)
		r, err := pub.Publish(ctx, &paho.Publish{
			Topic: "a/b", QoS: qos, Payload: fmt.Appendf(nil, "%d", qos),
			Properties: &paho.PublishProperties{
				ContentType: "text/plain", CorrelationData: []byte{0, 255}, ResponseTopic: "re", MessageExpiry: &expires,
				User: paho.UserProperties{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}},
			},
		})
		if err != nil || r != nil && r.ReasonCode != 0 {
			t.Fatalf("publish with QoS %d: %+v %v", qos, r, err)
		}
		m := await(t, got)
		if m.QoS != qos || string(m.Payload) != fmt.Sprint(qos) || m.Properties.ContentType != "text/plain" || len(m.Properties.User) != 2 ||
			*m.Properties.MessageExpiry > 100 || *m.Properties.SubscriptionIdentifier != 7 || m.Properties.ResponseTopic != "re" {
			t.Errorf("QoS %d: got %+v", qos, m)
		}
	}
	r, err := pub.Publish(ctx, &paho.Publish{Topic: "nobody", QoS: 1})
	if err != nil || r.ReasonCode != 0x10 {
		t.Errorf("nobody listens: %+v %v", r, err)
	}
	if err := sub.Disconnect(&paho.Disconnect{}); err != nil {
		t.Error(err)
	}
	await(t, first.Done()) // the broker has read its DISCONNECT
	for i := range 20 {
		if _, err := pub.Publish(ctx, &paho.Publish{Topic: "a/b", QoS: 1, Payload: fmt.Appendf(nil, "%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	_, back := connect("sub", &paho.Connect{Properties: &paho.ConnectProperties{SessionExpiryInterval: &keep}})
	if !back.SessionPresent {
		t.Error("no session present")
	}
	for i := range 20 {
		m := fresh(t, got)
		if string(m.Payload) != fmt.Sprint(i) {
			t.Errorf("got %s, want %d", m.Payload, i)
		}
	}
	connect("sub", &paho.Connect{CleanStart: true})
	if d := await(t, bye); d.ReasonCode != 0x8E {
		t.Errorf("DISCONNECT %#02x", d.ReasonCode)
	}
}

// paho.mqtt.golang speaks MQTT 3.1 and 3.1.1.
func TestPaho3(t *testing.T) {
	for _, v := range []uint{3, 4} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			_, p := benchServer(t)
			got := make(chan paho3.Message, 100)
			var last *pahoConn
			connect := func(id string, clean bool) paho3.Client {
				o := paho3.NewClientOptions().AddBroker("tcp://127.0.0.1:1883").SetClientID(id).SetProtocolVersion(v).SetCleanSession(clean)
				o.SetAutoReconnect(false).SetConnectRetry(false).SetKeepAlive(30 * time.Second).SetOrderMatters(true)
				o.SetCustomOpenConnectionFn(func(*url.URL, paho3.ClientOptions) (net.Conn, error) {
					last = dialPaho(t, p)
					return last, nil
				})
				o.SetDefaultPublishHandler(func(_ paho3.Client, m paho3.Message) { got <- m })
				o.SetWill("will", "gone", 1, false)
				c := paho3.NewClient(o)
				wait(t, c.Connect())
				return c
			}
			sub := connect("sub", false)
			first := last
			pub := connect("pub", true)
			wait(t, sub.SubscribeMultiple(map[string]byte{"a/#": 2, "will": 1}, nil))
			for qos := range byte(3) {
				wait(t, pub.Publish("a/b", qos, false, fmt.Sprint(qos)))
				if m := await(t, got); m.Qos() != qos || string(m.Payload()) != fmt.Sprint(qos) {
					t.Errorf("got %s with QoS %d", m.Payload(), m.Qos())
				}
			}
			wait(t, pub.Publish("r", 1, true, "kept"))
			wait(t, sub.Subscribe("r", 1, nil))
			if m := await(t, got); !m.Retained() || string(m.Payload()) != "kept" {
				t.Errorf("got %s, retained %v", m.Payload(), m.Retained())
			}
			sub.Disconnect(10_000)
			await(t, first.Done()) // the broker has read its DISCONNECT
			for i := range 20 {
				wait(t, pub.Publish("a/b", 1+byte(i%2), false, fmt.Sprint(i)))
			}
			sub = connect("sub", false)
			for i := range 20 {
				m := fresh(t, got)
				if string(m.Payload()) != fmt.Sprint(i) {
					t.Errorf("got %s, want %d", m.Payload(), i)
				}
			}
			wait(t, sub.Unsubscribe("a/#"))
			connect("pub", true) // takes over: the will of the first is published
			if m := fresh(t, got); m.Topic() != "will" {
				t.Errorf("got %s", m.Topic())
			}
			sub.Disconnect(0)
		})
	}
}

func wait(t *testing.T, token paho3.Token) {
	t.Helper()
	if !token.WaitTimeout(pahoWait) {
		t.Fatal("no answer")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}
