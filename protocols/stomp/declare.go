package stomp

import (
	"github.com/wyemq/wye/core"
)

// declaration is what RabbitMQ's headers say of the queue that a frame creates, if it is not there. A queue
// that is there stays as it is.
type declaration struct {
	core.QueueConfig

	made         bool // some header was there
	dead         bool // one of the next was there
	deadExchange string
	deadKey      string
}

// config returns what to create the queue with; nil: as its policy says.
func (d *declaration) config() *core.QueueConfig {
	if !d.made {
		return nil
	}
	q := d.QueueConfig
	return &q
}

// set takes one header.
func (d *declaration) set(k header, name, value string) (err error) {
	var n int64
	d.made = true
	switch k {
	case hQueueTTL:
		d.TTL, err = millis(name, value)
	case hQueueExpires:
		d.ExpiresIdle, err = millis(name, value)
	case hMaxPriority:
		n, err = number(name, value, 0, 255)
		d.Priorities = n > 0
	case hMaxLength:
		n, err = number(name, value, 0, 1<<31-1)
		d.MaxLength = int(n)
	case hMaxBytes:
		d.MaxBytes, err = number(name, value, 0, 1<<62)
	case hDeliveryLimit:
		n, err = number(name, value, -1, 1<<31-1)
		d.MaxDeliveries = int(n)
	case hDeadExchange:
		d.deadExchange, d.dead = value, true
	case hDeadKey:
		d.deadKey, d.dead = value, true
	case hOverflow:
		d.Overflow, err = overflow(name, value)
	default:
	}
	return err
}

func overflow(name, value string) (string, error) {
	switch value {
	case "drop-head":
		return "drop_head", nil
	case "reject-publish":
		return "reject", nil
	case "reject-publish-dlx":
		return "dead_letter", nil
	default:
		return "", invalid(name, value, "drop-head, reject-publish or reject-publish-dlx")
	}
}

// finish turns exchange and routing key of dead letters into the name of a queue.
func (d *declaration) finish() error {
	switch {
	case !d.dead:
		return nil
	case d.deadExchange != "":
		return invalid("x-dead-letter-exchange", d.deadExchange, "empty: dead letters go to the queue of x-dead-letter-routing-key")
	case d.deadKey == "":
		return invalid("x-dead-letter-routing-key", "", "the name of a queue")
	}
	d.DeadLetter = "queue/" + d.deadKey
	return nil
}
