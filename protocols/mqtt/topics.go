package mqtt

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wyemq/wye/core/destination"
)

// First levels that are no part of a topic's name.
const (
	queuePrefix   = "$queue/"
	replyPrefix   = "$reply/"
	sharePrefix   = "$share/"
	delayedPrefix = "$delayed/"
	sysLevel      = "$SYS"
)

// maxDelay is the longest $delayed: the largest Message Expiry Interval would not outlive more.
const maxDelay = 4_294_967_295

// reserved reports whether an MQTT name begins with a level that is no topic's.
func reserved(name string) bool {
	if !strings.HasPrefix(name, "$") {
		return false
	}
	switch level, _, _ := strings.Cut(name, "/"); level {
	case "$queue", "$reply", "$share", "$delayed":
		return true
	}
	return false
}

// isSys reports whether an MQTT name belongs to the broker.
func isSys(name string) bool {
	level, _, _ := strings.Cut(name, "/")
	return level == sysLevel
}

// destinationOf returns the destination of an MQTT topic name, and how long to wait before it is routed.
func destinationOf(topic string) (dest string, delay time.Duration, err error) {
	if rest, ok := strings.CutPrefix(topic, delayedPrefix); ok {
		word, name, _ := strings.Cut(rest, "/")
		seconds, err := strconv.ParseUint(word, 10, 64)
		if err != nil || seconds > maxDelay {
			return "", 0, fmt.Errorf("topic %q: $delayed is followed by seconds, up to %d, and a topic", topic, maxDelay)
		}
		dest, err := plainDestination(name)
		return dest, time.Duration(seconds) * time.Second, err
	}
	dest, err = plainDestination(topic)
	return dest, 0, err
}

// plainDestination is destinationOf without $delayed. It is the inverse of topicOf.
func plainDestination(topic string) (string, error) {
	dest := "topic/" + topic
	if strings.HasPrefix(topic, "$") {
		if name, ok := strings.CutPrefix(topic, queuePrefix); ok {
			dest = "queue/" + name
		} else if name, ok := strings.CutPrefix(topic, replyPrefix); ok {
			dest = "temp/" + name
		} else if reserved(topic) {
			return "", fmt.Errorf("topic %q: nothing can be published there", topic)
		}
	}
	if strings.ContainsAny(topic, "+#") {
		return "", fmt.Errorf("topic %q: holds a wildcard", topic)
	}
	if err := destination.Check(dest); err != nil {
		return "", err
	}
	return dest, nil
}

// topicOf returns the MQTT topic name of a destination as prefix and rest, which are two so that it costs no memory; false when
// MQTT cannot say it: a queue with a wildcard character in its name, a topic whose first level means something else.
func topicOf(dest string) (prefix, rest string, ok bool) {
	kind, rest, err := destination.Split(dest)
	if err != nil {
		return "", "", false
	}
	switch kind {
	case destination.Topic:
		return "", rest, rest != "" && !reserved(rest)
	case destination.Queue:
		prefix = queuePrefix
	case destination.Temp:
		prefix = replyPrefix
	}
	return prefix, rest, rest != "" && !strings.ContainsAny(rest, "+#")
}

// target is what an MQTT topic filter names in the core.
type target struct {
	filter string // canonical
	group  string
	shared bool // others may get what this client gives back: a group or a queue
}

// targetOf returns what an MQTT topic filter means. The fault tells which code a SUBACK gets.
func targetOf(filter string) (target, *fault) {
	switch {
	case filter == "":
		return target{}, failure(codeFilterInvalid, "the filter is empty")
	case strings.HasPrefix(filter, queuePrefix), strings.HasPrefix(filter, replyPrefix):
		if strings.ContainsAny(filter, "+#") {
			return target{}, failure(codeNoWildcards, "queues cannot be subscribed to by wildcards")
		}
		dest, err := plainDestination(filter)
		if err != nil {
			return target{}, failure(codeFilterInvalid, err.Error())
		}
		return target{filter: dest, shared: true}, nil
	}
	t := target{}
	if rest, ok := strings.CutPrefix(filter, sharePrefix); ok {
		group, name, ok := strings.Cut(rest, "/")
		if !ok || group == "" || name == "" || strings.ContainsAny(group, "+#") { // [MQTT-4.8.2-1] [MQTT-4.8.2-2]
			return t, failure(codeFilterInvalid, "a shared subscription is $share/name/filter, without wildcards in the name")
		}
		t.group, t.shared, filter = group, true, name
	}
	if reserved(filter) {
		return t, failure(codeFilterInvalid, fmt.Sprintf("%q cannot be subscribed to", clip(filter)))
	}
	if i := strings.IndexByte(filter, '#'); i >= 0 && i != len(filter)-1 { // [MQTT-4.7.1-1]
		return t, failure(codeFilterInvalid, "# is the last level of a filter")
	}
	t.filter = "topic/" + filter
	if err := destination.CheckFilter(t.filter); err != nil {
		return t, failure(codeFilterInvalid, err.Error())
	}
	return t, nil
}

// clip keeps hostile names short.
func clip(s string) string {
	if len(s) <= 100 {
		return s
	}
	return strings.ToValidUTF8(s[:100], "") + "…"
}
