package acl_test

import (
	"testing"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/acl"
)

// TestVHosts wants a rule for each virtual host that credentials are not of, and for administering.
func TestVHosts(t *testing.T) {
	p := principal()
	for _, c := range []struct {
		name  string
		rules []acl.Rule
		op    core.Op
		dest  string
		want  string // the rule, with a minus for a refusal
	}{
		{"no rule", nil, core.OpConnect, "vhost/shop", "-default"},
		{"client id", nil, core.OpConnect, "client/x", "granted"},
		{"a rule", []acl.Rule{{ID: "r", Allow: list("connect"), On: list("vhost/shop")}}, core.OpConnect, "vhost/shop", "r"},
		{"a rule for another", []acl.Rule{{ID: "r", Allow: list("connect"), On: list("vhost/sho")}}, core.OpConnect, "vhost/shop", "-default"},
		{"a rule with a variable", []acl.Rule{{ID: "r", Allow: list("connect"), On: list("vhost/{group}")}}, core.OpConnect, "vhost/ops", "r"},
		{"a rule about client ids", []acl.Rule{{ID: "r", Allow: list("connect"), On: list("client/#")}}, core.OpConnect, "vhost/shop", "-default"},
		{"read and write", []acl.Rule{{ID: "r", Allow: list("read", "write"), On: list("#")}}, core.OpConnect, "vhost/shop", "-default"},
		{"everything", []acl.Rule{{ID: "r", Allow: list("all"), On: list("#")}}, core.OpConnect, "vhost/shop", "r"},
		{"everything of another", []acl.Rule{{ID: "r", Allow: list("all"), On: list("#"), VHosts: list("/")}}, core.OpConnect, "vhost/shop", "-default"},
		{"no rule to manage", nil, core.OpManage, "queue/a", "-default"},
		{"read and write do not manage", []acl.Rule{{ID: "r", Allow: list("read", "write"), On: list("#")}}, core.OpManage, "queue/a", "-default"},
		{"manage", []acl.Rule{{ID: "r", Allow: list("manage"), On: list("queue/a/#")}}, core.OpManage, "queue/a/b", "r"},
		{"manage nothing else", []acl.Rule{{ID: "r", Allow: list("manage"), On: list("queue/#")}}, core.OpManage, "broker/reload", "-default"},
		{"manage the broker", []acl.Rule{{ID: "r", Allow: list("manage"), On: list("broker/#")}}, core.OpManage, "broker/reload", "r"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newACL(t, always, c.rules...).Decide(p, c.op, c.dest)
			got := d.Rule
			if !d.Allowed {
				got = "-" + got
			}
			if got != c.want {
				t.Errorf("decided by %s, not by %s", got, c.want)
			}
		})
	}
	open := newACL(t, never)
	nobody := &core.Principal{}
	if d := open.Decide(nobody, core.OpConnect, "vhost/shop"); d.Rule != acl.RuleOpen {
		t.Errorf("without users and rules: %+v", d)
	}
}
