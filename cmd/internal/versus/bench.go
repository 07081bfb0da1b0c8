package versus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/wyemq/wye/cmd/internal/load"
)

// grace is how long a load that was interrupted may take to say what it has.
const grace = 5 * time.Second

// loader runs `wye bench`.
type loader struct {
	wye     string // the program
	cpus    string
	seconds float64
	warmup  time.Duration
	limit   time.Duration // of a run, however slow the broker is
}

// arguments are those of wye bench for a row of a broker.
func (l *loader) arguments(r *row, protocol string, p *process) []string {
	args := []string{r.scenario, "--duration", strconv.FormatFloat(l.seconds, 'g', -1, 64) + "s", "--warmup", l.warmup.String(), "--pid", strconv.Itoa(p.pid)}
	args = append(args, r.args...) // which may say otherwise
	if p.broker.extra != nil {
		more, _ := p.broker.extra(r, protocol)
		args = append(args, more...)
	}
	if protocol == cross {
		return append(args, p.site.url(p.broker, stomp), p.site.url(p.broker, mqtt))
	}
	return append(args, "--"+protocol, p.site.url(p.broker, protocol))
}

// run runs it once. The result may be there even with an error: what was measured although something was lost.
func (l *loader) run(ctx context.Context, args []string) (r *load.Result, cut bool, err error) {
	limited, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	path, all := pinned(l.cpus, l.wye, append([]string{"bench", "--json", "--quiet"}, args...))
	cmd := exec.CommandContext(limited, path, all...) //nolint:gosec // what was built
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	cut = limited.Err() != nil && ctx.Err() == nil
	if said := strings.TrimPrefix(strings.TrimSpace(stderr.String()), "wye bench: "); said != "" {
		err = errors.New(said)
	} else if cut {
		err = nil // it has ended because we have asked it to
	}
	var result load.Result
	if bad := json.NewDecoder(&stdout).Decode(&result); bad != nil {
		switch {
		case cut:
			err = fmt.Errorf("nothing after %s", l.limit)
		case err == nil:
			err = fmt.Errorf("no result: %w", bad)
		}
		return nil, cut, err
	}
	return &result, cut, err
}
