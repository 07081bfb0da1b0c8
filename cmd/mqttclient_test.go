package wyecmd_test

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"
)

// mqtt5 is a client of MQTT 5 that answers with reason codes.
type mqtt5 struct {
	t     *testing.T
	c     *paho.Client
	heard chan string
}

// oneStep is for authentications without questions.
type oneStep struct{}

func (oneStep) Authenticate(*paho.Auth) *paho.Auth { return nil }
func (oneStep) Authenticated()                     {}

// mqtt5Connect logs in by MQTT 5; change may add to CONNECT. The code is that of CONNACK.
func mqtt5Connect(t *testing.T, nc net.Conn, user, password string, change ...func(*paho.Connect)) (*mqtt5, byte) {
	t.Helper()
	m := &mqtt5{t: t, heard: make(chan string, 1000)} // more than any test sends
	m.c = paho.NewClient(paho.ClientConfig{Conn: packets.NewThreadSafeConn(nc), AuthHandler: oneStep{}, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) {
			m.heard <- string(p.Packet.Payload)
			return true, nil
		},
	}})
	cp := &paho.Connect{KeepAlive: 0, CleanStart: true}
	if user != "" {
		cp.Username, cp.UsernameFlag = user, true
	}
	if password != "" {
		cp.Password, cp.PasswordFlag = []byte(password), true
	}
	for _, fn := range change {
		fn(cp)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ack, err := m.c.Connect(ctx, cp)
	if ack == nil {
		t.Fatalf("connect: %v", err)
	}
	if ack.ReasonCode == 0 {
		t.Cleanup(func() { _ = m.c.Disconnect(&paho.Disconnect{}) })
	}
	return m, ack.ReasonCode
}

// publish returns the code of PUBACK.
func (m *mqtt5) publish(topic, body string, change ...func(*paho.Publish)) byte {
	m.t.Helper()
	p := &paho.Publish{Topic: topic, QoS: 1, Payload: []byte(body)}
	for _, fn := range change {
		fn(p)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ack, err := m.c.Publish(ctx, p)
	if ack == nil {
		m.t.Fatalf("publish %s: %v", topic, err)
	}
	return ack.ReasonCode
}

// subscribe returns the code of SUBACK.
func (m *mqtt5) subscribe(filter string) byte {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ack, err := m.c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 1}}})
	if ack == nil {
		m.t.Fatalf("subscribe %s: %v", filter, err)
	}
	return ack.Reasons[0]
}

// next returns the body of the next message.
func (m *mqtt5) next() string {
	m.t.Helper()
	select {
	case body := <-m.heard:
		return body
	case <-time.After(patience):
		m.t.Fatal("no message came")
		return ""
	}
}

// mqtt3 is a client of MQTT 3.1.1.
type mqtt3 struct {
	t *testing.T
	c paho3.Client
}

// mqtt3Connect logs in by MQTT 3.1.1 over nc.
func mqtt3Connect(t *testing.T, nc net.Conn, user, password, client string) (*mqtt3, error) {
	t.Helper()
	o := paho3.NewClientOptions().AddBroker("tcp://broker:1").SetClientID(client).SetUsername(user).SetPassword(password).
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectRetry(false).SetKeepAlive(0).SetConnectTimeout(patience).
		SetCustomOpenConnectionFn(func(*url.URL, paho3.ClientOptions) (net.Conn, error) { return nc, nil })
	m := &mqtt3{t: t, c: paho3.NewClient(o)}
	if err := m.wait(m.c.Connect()); err != nil {
		return nil, err
	}
	t.Cleanup(func() { m.c.Disconnect(100) })
	return m, nil
}

func (m *mqtt3) wait(tok paho3.Token) error {
	m.t.Helper()
	if !tok.WaitTimeout(patience) {
		m.t.Fatal("no answer came")
	}
	return tok.Error()
}

// publish waits for PUBACK, which in 3.1.1 says nothing of a refusal.
func (m *mqtt3) publish(topic, body string, retained bool) {
	m.t.Helper()
	if err := m.wait(m.c.Publish(topic, 1, retained, body)); err != nil {
		m.t.Fatalf("publish %s: %v", topic, err)
	}
}

// subscribe returns the code of SUBACK.
func (m *mqtt3) subscribe(filter string) byte {
	m.t.Helper()
	tok := m.c.Subscribe(filter, 1, func(paho3.Client, paho3.Message) {})
	err := m.wait(tok)
	for _, code := range tok.(*paho3.SubscribeToken).Result() { // one; its key is not always the filter
		return code
	}
	m.t.Fatalf("subscribe %s: %v", filter, err)
	return 0
}
