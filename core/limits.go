package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/wyemq/wye/core/internal/outbox"
	"github.com/wyemq/wye/core/internal/tries"
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

// Limits bound what one broker and one client may use. Where 0 means that there is no limit, the comment says so; all
// others must be positive. Limits of bytes count bodies, and headers larger than 1 KiB.
type Limits struct {
	// Of one session.
	Subscriptions    int           `koanf:"subscriptions"`
	PrivateQueues    int           `koanf:"private_queues"`                                                  // of subscriptions that are acknowledged or durable
	Selectors        int           `koanf:"selectors"`                                                       // operations of all that it has
	OutboxMessages   int           `koanf:"outbox_messages"`                                                 // direct deliveries that wait
	OutboxBytes      int64         `koanf:"outbox_bytes"`                                                    // of them
	OutboxOverflow   string        `koanf:"outbox_overflow" enum:"drop_oldest,drop_new,conflate,disconnect"` // what happens when there are more
	Credit           int           `koanf:"credit"`                                                          // unsettled deliveries of a subscription that does not say
	Unacked          int           `koanf:"unacked"`                                                         // unsettled deliveries of all subscriptions
	Transactions     int           `koanf:"transactions"`                                                    // open ones (kept by the protocols)
	TransactionOps   int           `koanf:"transaction_ops"`                                                 // sends and settlements of one
	TransactionBytes int64         `koanf:"transaction_bytes"`                                               // of all that are open
	UnackedPublishes int           `koanf:"unacked_publishes"`                                               // publishes under way; more make Publish wait
	SessionExpiry    time.Duration `koanf:"session_expiry"`                                                  // most it may outlive its connection
	PublishRate      int           `koanf:"publish_rate"`                                                    // messages a second; 0: no limit
	PublishBytes     int64         `koanf:"publish_bytes"`                                                   // bytes a second; 0: no limit
	RefusalRate      int           `koanf:"refusal_rate"`                                                    // requests refused for limits a second, before it is slowed; 0: it never is

	// Of one message.
	Headers     int   `koanf:"headers"`
	HeaderBytes int64 `koanf:"header_bytes"` // all but the body

	// Of one user; clients without a name are counted by their address. 0: no limit.
	UserConnections   int   `koanf:"user_connections"`
	UserDurableQueues int   `koanf:"user_durable_queues"` // durable subscriptions, and queues and groups made
	UserPublishRate   int   `koanf:"user_publish_rate"`
	UserPublishBytes  int64 `koanf:"user_publish_bytes"`

	// VHostConnections is for each virtual host that does not say (VHost.MaxSessions). 0: no limit.
	VHostConnections int `koanf:"vhost_connections"`

	// PublishWait is the longest a publish is held back, because of a rate or for want of memory, before it is refused.
	PublishWait time.Duration `koanf:"publish_wait"`

	// Failed logins, of an address and of a user: LoginTries cost nothing, the next one LoginDelay (0: none ever does), each
	// after it twice as much as the one before, up to LoginDelayMost; they are forgotten after LoginForget.
	LoginTries     int           `koanf:"login_tries"`
	LoginDelay     time.Duration `koanf:"login_delay"`
	LoginDelayMost time.Duration `koanf:"login_delay_most"`
	LoginForget    time.Duration `koanf:"login_forget"`

	// In all.
	SelectorsInAll    int   `koanf:"selectors_in_all"` // operations of selectors
	RetainedMessages  int   `koanf:"retained_messages"`
	RetainedBytes     int64 `koanf:"retained_bytes"`      // of them, as Message.Size counts
	KeptSessions      int   `koanf:"kept_sessions"`       // while their client is away
	Queues            int   `koanf:"queues"`              // of all kinds, those before subscriptions too
	SessionQueue      int   `koanf:"session_queue"`       // messages waiting in one private queue of a session
	SessionQueueBytes int64 `koanf:"session_queue_bytes"` // of them
	Memory            int64 `koanf:"memory"`              // of the process; 0: half of what there is
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{
		Subscriptions: 10_000, PrivateQueues: 1000, Selectors: 20_000, SelectorsInAll: 200_000, OutboxMessages: 16_384, OutboxBytes: 64 << 20, OutboxOverflow: "drop_oldest",
		Credit: 100, Unacked: 100_000, Transactions: 16, TransactionOps: 10_000, TransactionBytes: 64 << 20,
		UnackedPublishes: 4096, SessionExpiry: 7 * 24 * time.Hour, RefusalRate: 20,
		Headers: 1000, HeaderBytes: 256 << 10, PublishWait: 5 * time.Second,
		LoginTries: 2, LoginDelay: time.Second, LoginDelayMost: time.Minute, LoginForget: 10 * time.Minute,
		RetainedMessages: 1_000_000, RetainedBytes: 1 << 30, KeptSessions: 100_000, Queues: 100_000,
		SessionQueue: 100_000, SessionQueueBytes: 256 << 20,
	}
}

// loginHold is for how long a login is held at most: a connection waits meanwhile, and counts.
const loginHold = 2 * time.Second

// guessing says how slow it is made.
func (l *Limits) guessing() tries.Config {
	return tries.Config{Free: l.LoginTries, First: l.LoginDelay, Most: l.LoginDelayMost, Hold: loginHold, Forget: l.LoginForget}
}

// rates are those of publishers.
func (l *Limits) rates() [4]int64 {
	return [...]int64{int64(l.PublishRate), l.PublishBytes, int64(l.UserPublishRate), l.UserPublishBytes}
}

// window is how many deliveries a session may have unsettled that wants so many, or does not say.
func (l *Limits) window(credit int) int {
	if credit > 0 {
		return min(credit, l.Unacked)
	}
	return l.Unacked
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
		{"retained_bytes", l.RetainedBytes},
		{"queues", int64(l.Queues)},
		{"session_queue", int64(l.SessionQueue)},
		{"session_queue_bytes", l.SessionQueueBytes},
		{"private_queues", int64(l.PrivateQueues)},
		{"selectors", int64(l.Selectors)},
		{"selectors_in_all", int64(l.SelectorsInAll)},
		{"unacked", int64(l.Unacked)},
		{"headers", int64(l.Headers)},
		{"header_bytes", l.HeaderBytes},
		{"publish_wait", int64(l.PublishWait)},
		{"login_delay_most", int64(l.LoginDelayMost)},
		{"login_forget", int64(l.LoginForget)},
		{"kept_sessions", int64(l.KeptSessions)},
	} {
		if f.value <= 0 {
			errs = append(errs, fmt.Errorf("limits.%s: must be positive, is %d", f.key, f.value))
		}
	}
	for _, f := range []struct {
		key   string
		value int64
	}{
		{"publish_rate", int64(l.PublishRate)},
		{"publish_bytes", l.PublishBytes},
		{"refusal_rate", int64(l.RefusalRate)},
		{"user_connections", int64(l.UserConnections)},
		{"user_durable_queues", int64(l.UserDurableQueues)},
		{"vhost_connections", int64(l.VHostConnections)},
		{"user_publish_rate", int64(l.UserPublishRate)},
		{"user_publish_bytes", l.UserPublishBytes},
		{"login_tries", int64(l.LoginTries)},
		{"login_delay", int64(l.LoginDelay)},
		{"memory", l.Memory},
	} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("limits.%s: must be 0 or more, is %d", f.key, f.value))
		}
	}
	if _, ok := outbox.ParsePolicy(l.OutboxOverflow); !ok {
		errs = append(errs, fmt.Errorf("limits.outbox_overflow: must be drop_oldest, drop_new, conflate or disconnect, is %q", l.OutboxOverflow))
	}
	return errors.Join(errs...)
}
