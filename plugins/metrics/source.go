package metrics

import (
	"time"

	"github.com/wyemq/wye/core"
)

// Source is where the numbers come from. Its functions are called for each scrape, concurrently.
type Source struct {
	// Broker is [core.Broker.Stats]. Required.
	Broker func() core.Stats
	// Listeners tells what each transport has counted; nil: nothing is known of transports.
	Listeners func() []Listener
	// Protocols are the names of those served. They have series from the start, so that the first
	// message is seen as an increase.
	Protocols []string
	// Audit tells how many lines of the audit log were written, and how many were lost; nil: there is none.
	Audit func() (written, lost uint64)
	// Certificates tells of those of the admin server, which is no Listener; nil: it has none.
	Certificates func() []Certificate
	// Version is that of the program.
	Version string
}

// Listener is what one transport has counted.
type Listener struct {
	// Name is that of the listener in the configuration, Transport that of its kind.
	Name, Transport string
	// Open is how many connections are open now, logged in or not.
	Open int
	// Accepted counts connections that were served.
	Accepted uint64
	// Ended counts by reason id: those that are over, and those that never came to be.
	Ended map[string]uint64
	// Limits counts how often a limit of the listener was reached, by its key.
	Limits map[string]uint64
	// ReceivedBytes and SentBytes count what has passed, as the transport sees it.
	ReceivedBytes, SentBytes uint64
	// Certificates are those that it shows, and the revocation lists that it goes by.
	Certificates []Certificate
}

// Certificate ends at some time.
type Certificate struct {
	// File is where it was read from, Subject whom it is for.
	File, Subject string
	NotAfter      time.Time
}
