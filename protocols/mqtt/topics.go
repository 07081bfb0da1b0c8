package mqtt

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/destination"
)

// The first levels that have a meaning of their own.
const (
	queueWord   = "$queue/"
	replyWord   = "$reply/"
	shareWord   = "$share/"
	delayedWord = "$delayed/"
	sysWord     = "$SYS/"
)

// fromTopic returns the destination of a topic name. MQTT text is verbatim: each topic name has exactly one
// destination.
func fromTopic(topic string) (string, error) {
	var dest string
	switch {
	case strings.HasPrefix(topic, queueWord):
		dest = "queue/" + topic[len(queueWord):]
	case strings.HasPrefix(topic, replyWord):
		dest = "temp/" + topic[len(replyWord):]
	case strings.HasPrefix(topic, shareWord):
		return "", fmt.Errorf("a topic name does not begin with %s: %w", shareWord, core.ErrInvalid)
	default:
		dest = "topic/" + topic
	}
	if err := destination.Check(dest); err != nil {
		return "", fmt.Errorf("%w: %w", core.ErrInvalid, err)
	}
	return dest, nil
}

// toTopic returns the topic name of a destination.
func toTopic(dest string) string {
	kind, name, _ := strings.Cut(dest, "/")
	switch kind {
	case "topic":
		return name
	case "queue":
		return queueWord + name
	default:
		return replyWord + name
	}
}

// fromFilter returns what a topic filter subscribes to, and the group of a shared subscription. Only the
// wildcards of MQTT are there: '#' stands at the end.
func fromFilter(filter string) (dest, group string, err error) {
	if rest, ok := strings.CutPrefix(filter, shareWord); ok {
		name, inner, ok := strings.Cut(rest, "/")
		if !ok || name == "" || inner == "" || strings.ContainsAny(name, "+#") { // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
			return "", "", fmt.Errorf("filter %q: must be $share/<name>/<filter>: %w", filter, core.ErrInvalid)
		}
		dest, _, err := fromFilter(inner)
		return dest, name, err
	}
	switch {
	case strings.HasPrefix(filter, queueWord):
		name := filter[len(queueWord):]
		if strings.ContainsAny(name, "+#") {
			return "", "", fmt.Errorf("filter %q: queues are consumed one by one, without wildcards: %w", filter, core.ErrInvalid)
		}
		dest = "queue/" + name
	case strings.HasPrefix(filter, replyWord):
		dest = "temp/" + filter[len(replyWord):]
	default:
		if i := strings.IndexByte(filter, '#'); i >= 0 && i != len(filter)-1 { // [MQTT-4.7.1-1]
			return "", "", fmt.Errorf("filter %q: # stands at the end: %w", filter, core.ErrInvalid)
		}
		dest = "topic/" + filter
	}
	if err := destination.CheckFilter(dest); err != nil {
		return "", "", fmt.Errorf("%w: %w", core.ErrInvalid, err)
	}
	return dest, "", nil
}

// delayed takes $delayed/<seconds>/<topic> apart.
func delayed(topic string) (rest string, visible time.Time, err error) {
	after, ok := strings.CutPrefix(topic, delayedWord)
	if !ok {
		return topic, time.Time{}, nil
	}
	text, rest, ok := strings.Cut(after, "/")
	seconds, convErr := strconv.ParseUint(text, 10, 32)
	if !ok || convErr != nil || rest == "" {
		return "", time.Time{}, fmt.Errorf("topic %q: must be $delayed/<seconds>/<topic>: %w", topic, core.ErrInvalid)
	}
	return rest, time.Now().Add(time.Duration(seconds) * time.Second), nil
}
