package stomp

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wyemq/wye/core"
)

// header is a header that means something to the broker, whatever its name. See the table in doc.go.
type header uint8

const (
	userHeader header = iota
	hDestination
	hDestinationType
	hReceipt
	hTransaction
	hContentType
	hContentLength
	hCorrelation
	hCorrelationEncoding
	hReplyTo
	hPriority
	hPersistent
	hExpires
	hTTL
	hGroup
	hRetain
	hDelay
	hTime
	hPeriod
	hRepeat
	hCron
	hReserved

	hID
	hAck
	hSelector
	hQueueName
	hDurable
	hAutoDelete
	hSubscriptionName
	hSubscriptionType
	hPrefetch
	hWindow
	hExclusive
	hConsumerPriority
	hNoLocal
	hBrowser
	hBrowserEnd
	hRetroactive
	hQueueTTL
	hQueueExpires
	hMaxPriority
	hMaxLength
	hMaxBytes
	hOverflow
	hDeadExchange
	hDeadKey
	hDeliveryLimit // fewer than 64, see seen
)

// sendHeader returns what a header of SEND is.
func sendHeader(name string) header {
	switch name {
	case "destination":
		return hDestination
	case "destination-type":
		return hDestinationType
	case "receipt":
		return hReceipt
	case "transaction":
		return hTransaction
	case "content-type":
		return hContentType
	case "content-length":
		return hContentLength
	case "correlation-id":
		return hCorrelation
	case "correlation-id-encoding":
		return hCorrelationEncoding
	case "reply-to":
		return hReplyTo
	case "priority":
		return hPriority
	case "persistent":
		return hPersistent
	case "expires":
		return hExpires
	case "expiration", "ttl", "x-message-ttl":
		return hTTL
	case "JMSXGroupID", "message_group":
		return hGroup
	case "retain", "retained", "ActiveMQ.Retain":
		return hRetain
	case "AMQ_SCHEDULED_DELAY":
		return hDelay
	case "AMQ_SCHEDULED_TIME":
		return hTime
	case "AMQ_SCHEDULED_PERIOD":
		return hPeriod
	case "AMQ_SCHEDULED_REPEAT":
		return hRepeat
	case "AMQ_SCHEDULED_CRON":
		return hCron
	case "message-id", "subscription", "ack", "redelivered", "timestamp", "browser", "JMSXDeliveryCount", "receipt-id":
		return hReserved // are the broker's to say
	default:
		return queueHeader(name)
	}
}

// subscribeHeader returns what a header of SUBSCRIBE or UNSUBSCRIBE is.
func subscribeHeader(name string) header {
	switch name {
	case "destination":
		return hDestination
	case "id":
		return hID
	case "ack":
		return hAck
	case "selector":
		return hSelector
	case "x-queue-name":
		return hQueueName
	case "durable", "persistent":
		return hDurable
	case "auto-delete":
		return hAutoDelete
	case "durable-subscription-name", "durable-subscriber-name", "activemq.subscriptionName":
		return hSubscriptionName
	case "subscription-type":
		return hSubscriptionType
	case "prefetch-count", "activemq.prefetchSize", "credit":
		return hPrefetch
	case "consumer-window-size":
		return hWindow
	case "exclusive", "activemq.exclusive", "x-single-active-consumer":
		return hExclusive
	case "activemq.priority", "x-priority":
		return hConsumerPriority
	case "activemq.noLocal", "no-local":
		return hNoLocal
	case "browser":
		return hBrowser
	case "browser-end":
		return hBrowserEnd
	case "activemq.retroactive":
		return hRetroactive
	default:
		return queueHeader(name)
	}
}

// queueHeader returns what a header says of the queue that the frame creates, if it is not there.
func queueHeader(name string) header {
	switch name {
	case "x-message-ttl":
		return hQueueTTL
	case "x-expires":
		return hQueueExpires
	case "x-max-priority":
		return hMaxPriority
	case "x-max-length":
		return hMaxLength
	case "x-max-length-bytes":
		return hMaxBytes
	case "x-overflow":
		return hOverflow
	case "x-dead-letter-exchange":
		return hDeadExchange
	case "x-dead-letter-routing-key":
		return hDeadKey
	case "x-delivery-limit":
		return hDeliveryLimit
	default:
		return userHeader
	}
}

// seen notes which headers a frame had: the first of a name counts.
type seen uint64

// first reports whether h is there for the first time.
func (x *seen) first(h header) bool {
	was := x.has(h)
	*x |= 1 << h
	return !was
}

func (x *seen) has(h header) bool { return *x&(1<<h) != 0 }

// invalid is the refusal of a header's value.
func invalid(name, value, want string) error {
	return fmt.Errorf("header %s:%s must be %s: %w", name, clip(value), want, core.ErrInvalid)
}

func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// flag reads true and false.
func flag(name, value string) (bool, error) {
	switch value {
	case "true", "TRUE", "True", "1":
		return true, nil
	case "false", "FALSE", "False", "0", "":
		return false, nil
	default:
		return false, invalid(name, value, "true or false")
	}
}

// number reads a whole number from least to most.
func number(name, value string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil || n < least || n > most {
		return 0, invalid(name, value, fmt.Sprintf("a number from %d to %d", least, most))
	}
	return n, nil
}

// mostMillis is a little less than 300 years, which time.Duration can hold.
const mostMillis = int64(1<<63-1) / int64(time.Millisecond) / 2

// millis reads a span of time in milliseconds.
func millis(name, value string) (time.Duration, error) {
	n, err := number(name, value, 0, mostMillis)
	return time.Duration(n) * time.Millisecond, err
}
