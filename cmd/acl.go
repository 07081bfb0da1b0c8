package wyecmd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
	"github.com/wyemq/wye/plugins/acl"
	"github.com/wyemq/wye/plugins/users"
)

// testACL says which rule decides.
func (p *program) testACL() error {
	op, err := acl.ParseOp(p.args.operands[0])
	if err != nil {
		return err
	}
	c, err := p.loadConfig()
	if err != nil {
		return err
	}
	p.warnVHost(c)
	who, err := p.principal(config.Get[users.Config](c, "auth.users"))
	if err != nil {
		return err
	}
	// Whether there are users is not known without asking everybody; to test rules is to have them in mind.
	a, err := acl.New(config.Get[acl.Config](c, "auth.acl"), func() bool { return true }, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	dest := p.args.operands[1]
	d := a.Decide(who, op, dest)
	word := "allowed"
	if !d.Allowed {
		word = "refused"
	}
	if _, err := fmt.Fprintf(p.stdout, "%s by rule %s\n", word, d.Rule); err != nil || d.Allowed {
		return err
	}
	return fmt.Errorf("%s %s: %w", op, dest, core.ErrDenied)
}

// principal is who the flags say.
func (p *program) principal(cfg users.Config) (*core.Principal, error) {
	who := &core.Principal{Name: p.args.user, Groups: p.args.groups, ClientID: p.args.client, VHost: cmp.Or(p.args.vhost, "/")}
	all, err := users.Load(cfg.File)
	if err != nil {
		return nil, err
	}
	i := find(all, who.Name, p.args.vhost)
	if i < 0 {
		i = find(all, who.Name, "")
	}
	switch {
	case i < 0 && who.Name != "" && cfg.File != "":
		fmt.Fprintf(p.stderr, "wye: user %q is not in %s (auth.users.file)\n", who.Name, cfg.File)
	case i >= 0 && who.Groups == nil:
		who.Groups = all[i].Groups
	}
	if p.args.address != "" {
		if who.Remote, err = netip.ParseAddr(p.args.address); err != nil {
			return nil, fmt.Errorf("--address: must be an IP address, is %q", p.args.address)
		}
	}
	if len(p.args.claims) > 0 {
		claims := make(map[string]any)
		for _, c := range p.args.claims {
			name, text, ok := strings.Cut(c, "=")
			if !ok || name == "" {
				return nil, fmt.Errorf("--claim: must be name=value, is %q", c)
			}
			var value any = text
			if strings.HasPrefix(text, "[") {
				if err := json.Unmarshal([]byte(text), &value); err != nil {
					return nil, fmt.Errorf("--claim %s: %w", name, err)
				}
			}
			claims[name] = value
		}
		who.Claims = core.NewClaims(claims)
	}
	return who, nil
}
