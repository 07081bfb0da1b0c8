package acl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/wyemq/wye/core"
)

// Claim is the one that holds rules of its bearer, in the form of those of the configuration.
const Claim = "acl"

// lookAgain is how often the file is looked at.
const lookAgain = 2 * time.Second

// ACL is the Authorizer. Make it with New.
type ACL struct {
	cfg     Config
	guarded func() bool
	log     *slog.Logger
	refused refusals
	rules   atomic.Pointer[[]rule]
	changed atomic.Pointer[func()]
}

var (
	_ core.Authorizer = (*ACL)(nil)
	_ core.Changer    = (*ACL)(nil)
	_ core.Runner     = (*ACL)(nil)
)

// New reads the rules. guarded says whether there are users: then what no rule allows is refused.
func New(cfg Config, guarded func() bool, log *slog.Logger) (*ACL, error) {
	a := &ACL{cfg: cfg, guarded: guarded, log: log}
	if err := a.Reload(); err != nil {
		return nil, err
	}
	return a, nil
}

// Name returns "acl".
func (*ACL) Name() string { return "acl" }

// OnChange implements core.Changer.
func (a *ACL) OnChange(fn func()) { a.changed.Store(&fn) }

// Reload reads the file again. When something is wrong, the rules stay as they were.
func (a *ACL) Reload() error {
	rules, err := compile(a.cfg.Rules, "auth.acl.rules")
	if err != nil {
		return err
	}
	if a.cfg.File != "" {
		data, err := os.ReadFile(a.cfg.File)
		if err != nil {
			return fmt.Errorf("auth.acl.file: %w", err)
		}
		more, err := read(data)
		if err != nil {
			return fmt.Errorf("auth.acl.file: %s: %w", a.cfg.File, err)
		}
		rules = append(rules, more...)
	}
	a.rules.Store(&rules)
	return nil
}

// read reads the file.
func read(data []byte) ([]rule, error) {
	var f struct {
		Rules []Rule `yaml:"rules"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return compile(f.Rules, "rules")
}

// Run reads the file again when it changes.
func (a *ACL) Run(ctx context.Context, ready func()) error {
	if len(*a.rules.Load()) == 0 && a.guarded() {
		a.log.Warn("there are users and no rules: only what the claims of tokens allow is not refused", "key", "auth.acl.rules")
	}
	ready()
	if a.cfg.File == "" {
		<-ctx.Done()
		return nil
	}
	last, _ := os.ReadFile(a.cfg.File)
	t := time.NewTicker(lookAgain)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		data, err := os.ReadFile(a.cfg.File)
		if err != nil || bytes.Equal(data, last) {
			continue // a file that is away for a moment is about to be replaced
		}
		last = data
		if err := a.Reload(); err != nil {
			a.log.Error("rules not read again, they stay as they were", "error", err)
			continue
		}
		a.log.Info("rules read again", "file", a.cfg.File, "rules", len(*a.rules.Load()))
		if fn := a.changed.Load(); fn != nil {
			(*fn)()
		}
	}
}

// Decision is what is answered, and why.
type Decision struct {
	Allowed bool
	// Rule is the id of the one that has decided; one of the constants below when none has.
	Rule string
}

// What decides when no rule does.
const (
	RuleDefault = "default" // refused: no rule allows it
	RuleOpen    = "open"    // allowed: there are neither users nor rules
	RuleGranted = "granted" // allowed unless a rule denies it: see the package
	RuleClaim   = "claim"   // refused: the rules of the claim cannot be read
)

// Decide answers for p. It does no I/O.
func (a *ACL) Decide(p *core.Principal, op core.Op, dest string) Decision {
	rules := *a.rules.Load()
	for i := range rules {
		if rules[i].matches(p, op, dest) {
			return Decision{rules[i].allow, rules[i].id}
		}
	}
	claimed, err := claimedRules(p.Claims)
	if err != nil {
		return Decision{false, RuleClaim}
	}
	for i := range claimed {
		if claimed[i].matches(p, op, dest) {
			return Decision{claimed[i].allow, claimed[i].id}
		}
	}
	switch {
	case granted(op, dest):
		return Decision{true, RuleGranted}
	case len(rules) == 0 && p.Name == "" && len(claimed) == 0 && !a.guarded():
		return Decision{true, RuleOpen}
	default:
		return Decision{false, RuleDefault}
	}
}

// granted reports whether op is allowed where no rule denies it.
func granted(op core.Op, dest string) bool {
	switch op {
	case core.OpConnect:
		return strings.HasPrefix(dest, "client/")
	case core.OpConsume, core.OpDelete:
		return strings.HasPrefix(dest, "group/")
	case core.OpPublish:
		return strings.HasPrefix(dest, "temp/") || strings.HasPrefix(dest, "topic/$temp/")
	default:
		return false
	}
}

// Authorize implements core.Authorizer.
func (a *ACL) Authorize(_ context.Context, p *core.Principal, op core.Op, dest string) error {
	d := a.Decide(p, op, dest)
	if d.Allowed {
		return nil
	}
	a.refused.log(a.log, p, op, dest, d.Rule)
	return fmt.Errorf("rule %s: %w", d.Rule, core.ErrDenied)
}

// memo is the key under which the rules of a claim are kept with it.
type memo struct{}

// compiled is what is kept.
type compiled struct {
	rules []rule
	err   error
}

// claimedRules reads the rules that a token brings, once.
func claimedRules(c *core.Claims) ([]rule, error) {
	if c == nil {
		return nil, nil
	}
	got := c.Memo(memo{}, func(c *core.Claims) any {
		value, ok := c.Get(Claim)
		if !ok {
			return compiled{}
		}
		var list []Rule
		data, err := json.Marshal(value)
		if err == nil {
			dec := json.NewDecoder(bytes.NewReader(data))
			dec.DisallowUnknownFields()
			err = dec.Decode(&list)
		}
		if err != nil {
			return compiled{err: fmt.Errorf("claim %s: %w", Claim, err)}
		}
		rules, err := compile(list, "claim."+Claim)
		return compiled{rules, err}
	}).(compiled)
	return got.rules, got.err
}
