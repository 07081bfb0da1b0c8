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
	guarded func() bool
	log     *slog.Logger
	refused refusals
	policy  atomic.Pointer[policy]
	changed atomic.Pointer[func()]
	told    atomic.Pointer[func(key, change string)]
}

// fileKey names the file in the configuration.
const fileKey = "auth.acl.file"

// policy is what holds. It does not change.
type policy struct {
	cfg   Config
	file  []byte
	rules []rule
}

var (
	_ core.Authorizer = (*ACL)(nil)
	_ core.Changer    = (*ACL)(nil)
	_ core.Runner     = (*ACL)(nil)
)

// New reads the rules. guarded says whether there are users: then what no rule allows is refused.
func New(cfg Config, guarded func() bool, log *slog.Logger) (*ACL, error) {
	a := &ACL{guarded: guarded, log: log}
	p, err := load(cfg)
	if err != nil {
		return nil, err
	}
	a.policy.Store(p)
	return a, nil
}

// Name returns "acl".
func (*ACL) Name() string { return "acl" }

// OnChange implements core.Changer.
func (a *ACL) OnChange(fn func()) { a.changed.Store(&fn) }

// OnFile makes fn be told of changes of the file that were found here.
func (a *ACL) OnFile(fn func(key, change string)) { a.told.Store(&fn) }

// Prepare reads the rules and the file. It makes the ACL reloadable.
func (a *ACL) Prepare(next Config) (core.Change, error) {
	p, err := load(next)
	if err != nil {
		return core.Change{}, err
	}
	c := core.Change{Apply: func() { a.use(p) }}
	if old := a.policy.Load(); !bytes.Equal(p.file, old.file) {
		c.Files = map[string]string{fileKey: p.differs(old)}
	}
	return c, nil
}

// use makes p hold.
func (a *ACL) use(p *policy) {
	a.policy.Store(p)
	if fn := a.changed.Load(); fn != nil {
		(*fn)()
	}
}

// load makes a policy of the configuration and the file.
func load(cfg Config) (*policy, error) {
	p := &policy{cfg: cfg}
	var err error
	if p.rules, err = compile(cfg.Rules, "auth.acl.rules"); err != nil || cfg.File == "" {
		return p, err
	}
	if p.file, err = os.ReadFile(cfg.File); err != nil {
		return nil, fmt.Errorf("auth.acl.file: %w", err)
	}
	more, err := read(p.file)
	if err != nil {
		return nil, fmt.Errorf("auth.acl.file: %s: %w", cfg.File, err)
	}
	p.rules = append(p.rules, more...)
	return p, nil
}

// differs says in words what is new in the file.
func (p *policy) differs(old *policy) string {
	return fmt.Sprintf("%d rules, were %d", len(p.rules)-len(p.cfg.Rules), len(old.rules)-len(old.cfg.Rules))
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
	if len(a.policy.Load().rules) == 0 && a.guarded() {
		a.log.Warn("there are users and no rules: only what the claims of tokens allow is not refused", "key", "auth.acl.rules")
	}
	ready()
	t := time.NewTicker(lookAgain)
	defer t.Stop()
	var refused []byte
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			refused = a.look(refused)
		}
	}
}

// look reads the file again when it has changed. refused is a version of it that was wrong; the result is the one that
// is now. A file that is away for a moment is about to be replaced.
func (a *ACL) look(refused []byte) []byte {
	old := a.policy.Load()
	if old.cfg.File == "" {
		return nil
	}
	data, err := os.ReadFile(old.cfg.File)
	if err != nil || bytes.Equal(data, old.file) || refused != nil && bytes.Equal(data, refused) {
		return refused
	}
	p, err := load(old.cfg)
	if err != nil {
		a.log.Error("rules not read again, they stay as they were", "error", err)
		return data
	}
	a.use(p)
	if fn := a.told.Load(); fn != nil {
		(*fn)(fileKey, p.differs(old))
	}
	return nil
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
	rules := a.policy.Load().rules
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
	return core.Deny(d.Rule)
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
