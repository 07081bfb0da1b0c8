package mqtt

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/wyemq/wye/core"
)

// willOf returns the will of a CONNECT and its delay. The core publishes it; mochi would lose most of its properties and ask
// nobody for permission.
func (p *peer) willOf(pk *packets.Packet) (*core.Message, time.Duration, *fault) {
	k, cfg := &pk.Connect, &p.proto.cfg
	switch {
	case int(k.WillQos) > cfg.MaxQoS: // [MQTT-3.2.2-12]
		return nil, 0, failure(codeQoS, fmt.Sprintf("will QoS %d, the highest is %d", k.WillQos, cfg.MaxQoS))
	case k.WillRetain && !cfg.Retain: // [MQTT-3.2.2-13]
		return nil, 0, failure(codeRetain, "retained messages are not served")
	case strings.ContainsAny(k.WillTopic, "+#"), k.WillTopic == "":
		return nil, 0, failure(codeTopicInvalid, "the will topic is empty or holds a wildcard")
	case isSys(k.WillTopic):
		return nil, 0, failure(codeTopicInvalid, "$SYS is the broker's own")
	case strings.ContainsAny(k.WillProperties.ResponseTopic, "+#"):
		return nil, 0, failure(codeProtocol, "a response topic holds no wildcard")
	}
	dest, err := plainDestination(k.WillTopic)
	if err != nil {
		return nil, 0, failure(codeTopicInvalid, "will: "+err.Error())
	}
	m := &core.Message{
		Destination: dest, Body: bytes.Clone(k.WillPayload), Retain: k.WillRetain,
		Persistent: k.WillQos > 0, ExactlyOnce: k.WillQos == 2,
	}
	if p.version < 5 {
		return m, 0, nil
	}
	if f := takeProperties(m, &k.WillProperties, time.Time{}); f != nil {
		return nil, 0, f
	}
	return m, time.Duration(k.WillProperties.WillDelayInterval) * time.Second, nil
}
