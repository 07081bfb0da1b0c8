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

// TestEscaped compares names that are escaped with what people write, be it escaped or not.
func TestEscaped(t *testing.T) {
	p := &core.Principal{Name: "a b", ClientID: "Büro/1", Groups: list("50%", "x/y")}
	for _, c := range []struct {
		pattern, dest string
		want          bool
	}{
		{"client/{user}-*", "client/a%20b-1", true},
		{"client/{user}-*", "client/a b-1", false},
		{"client/a b", "client/a%20b", true},
		{"client/a%20b", "client/a%20b", true},
		{"client/B*o", "client/B%C3%BCro", true},
		{"client/Büro", "client/B%C3%BCro", true},
		{"group/{group}", "group/50%25", true},
		{"group/50%", "group/50%25", true},
		{"group/{group}", "group/x%2Fy", false}, // a value with a slash fits nothing that allows
		{"queue/{user}", "queue/a b", true},
		{"queue/{user}", "queue/a%20b", false},
		{"topic/a b", "topic/a b", true},
	} {
		op := core.OpConnect
		allow := newACL(t, always, acl.Rule{ID: "r", Allow: list("all"), On: list(c.pattern)})
		if got := allow.Decide(p, op, c.dest).Rule == "r"; got != c.want {
			t.Errorf("%q allows %q: %t", c.pattern, c.dest, got)
		}
		deny := newACL(t, always, acl.Rule{ID: "r", Deny: list("all"), On: list(c.pattern)})
		if got := deny.Decide(p, op, c.dest).Rule == "r"; got != c.want && c.dest != "group/x%2Fy" {
			t.Errorf("%q denies %q: %t", c.pattern, c.dest, got)
		}
	}
}
