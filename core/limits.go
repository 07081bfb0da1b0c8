package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/wyemq/wye/core/internal/outbox"
)

// Anonymous says who may log in without credentials.
type Anonymous string

// The values of auth.anonymous.
const (
	AnonymousLoopback Anonymous = "loopback" // connections on loopback addresses, the default
	AnonymousNever    Anonymous = "false"
	AnonymousAlways   Anonymous = "true"
)

// QueuePolicy gives the queues whose name matches a filter their behaviour.
type QueuePolicy struct {
	Match  string      `koanf:"match"` // a filter over the levels of the name, as in "orders/#"
	Config QueueConfig `koanf:",squash"`
}

// Limits bound what one broker and one client may use. All must be positive.
type Limits struct {
	Subscriptions     int           `koanf:"subscriptions"`                                                   // of one session
	OutboxMessages    int           `koanf:"outbox_messages"`                                                 // direct deliveries waiting for one session
	OutboxBytes       int64         `koanf:"outbox_bytes"`                                                    // body bytes of them, and headers larger than 1 KiB; so are all limits of bytes
	OutboxOverflow    string        `koanf:"outbox_overflow" enum:"drop_oldest,drop_new,conflate,disconnect"` // drop_oldest, drop_new, conflate or disconnect
	Credit            int           `koanf:"credit"`                                                          // unsettled deliveries of a subscription that does not say
	Transactions      int           `koanf:"transactions"`                                                    // open transactions of one session (kept by the protocols)
	TransactionOps    int           `koanf:"transaction_ops"`                                                 // sends and settlements of one transaction
	TransactionBytes  int64         `koanf:"transaction_bytes"`                                               // body bytes of the open transactions of one session
	UnackedPublishes  int           `koanf:"unacked_publishes"`                                               // publishes of one session under way; more make Publish wait
	SessionExpiry     time.Duration `koanf:"session_expiry"`                                                  // most a session may outlive its connection
	RetainedMessages  int           `koanf:"retained_messages"`                                               // retained messages in all
	Queues            int           `koanf:"queues"`                                                          // of all kinds, those before subscriptions too
	SessionQueue      int           `koanf:"session_queue"`                                                   // messages waiting in one private queue of a session
	SessionQueueBytes int64         `koanf:"session_queue_bytes"`                                             // body bytes of them
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{
		Subscriptions: 10_000, OutboxMessages: 16_384, OutboxBytes: 64 << 20, OutboxOverflow: "drop_oldest",
		Credit: 100, Transactions: 16, TransactionOps: 10_000, TransactionBytes: 64 << 20,
		UnackedPublishes: 4096, SessionExpiry: 7 * 24 * time.Hour, RetainedMessages: 1_000_000, SessionQueue: 100_000,
		SessionQueueBytes: 256 << 20, Queues: 100_000,
	}
}

// Validate names every limit that makes no sense.
func (l Limits) Validate() error {
	var errs []error
	for _, f := range []struct {
		key   string
		value int64
	}{
		{"subscriptions", int64(l.Subscriptions)},
		{"outbox_messages", int64(l.OutboxMessages)},
		{"outbox_bytes", l.OutboxBytes},
		{"credit", int64(l.Credit)},
		{"transactions", int64(l.Transactions)},
		{"transaction_ops", int64(l.TransactionOps)},
		{"transaction_bytes", l.TransactionBytes},
		{"unacked_publishes", int64(l.UnackedPublishes)},
		{"session_expiry", int64(l.SessionExpiry)},
		{"retained_messages", int64(l.RetainedMessages)},
		{"queues", int64(l.Queues)},
		{"session_queue", int64(l.SessionQueue)},
		{"session_queue_bytes", l.SessionQueueBytes},
	} {
		if f.value <= 0 {
			errs = append(errs, fmt.Errorf("limits.%s: must be positive, is %d", f.key, f.value))
		}
	}
	if _, ok := outbox.ParsePolicy(l.OutboxOverflow); !ok {
		errs = append(errs, fmt.Errorf("limits.outbox_overflow: must be drop_oldest, drop_new, conflate or disconnect, is %q", l.OutboxOverflow))
	}
	return errors.Join(errs...)
}
