package acl

import (
	"log/slog"
	"sync"
	"time"

	"github.com/wyemq/wye/core"
)

// maxPerSecond is how many refusals are logged in a second; a client may cause any number.
const maxPerSecond = 20

// refusals counts those of the present second.
type refusals struct {
	mu      sync.Mutex
	second  int64
	logged  int
	skipped int
}

// log tells of a refusal, unless there are too many.
func (r *refusals) log(log *slog.Logger, p *core.Principal, op core.Op, dest, rule string) {
	r.mu.Lock()
	if now := time.Now().Unix(); now != r.second {
		r.second, r.logged = now, 0
	}
	r.logged++
	if r.logged > maxPerSecond {
		r.skipped++
		r.mu.Unlock()
		return
	}
	skipped := r.skipped
	r.skipped = 0
	r.mu.Unlock()
	attrs := []any{
		"user", p.Name, "client", p.ClientID, "vhost", p.VHost, "remote", p.Remote, "operation", op.String(), "destination", dest, "rule", rule,
	}
	if skipped > 0 {
		attrs = append(attrs, "not_logged", skipped)
	}
	log.Info("refused", attrs...)
}
