package acl_test

import (
	"fmt"
	"log/slog"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/acl"
)

// Devices publish under their own name; nobody reads what is secret, not by a wildcard either.
func Example() {
	a, err := acl.New(acl.Config{Rules: []acl.Rule{
		{ID: "secret", Deny: []string{"read"}, On: []string{"topic/+/secret"}},
		{ID: "devices", Allow: []string{"publish"}, On: []string{"topic/{user}/#"}},
		{ID: "staff", Allow: []string{"read"}, On: []string{"topic/#"}, Groups: []string{"staff"}},
	}}, func() bool { return true }, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	device, staff := &core.Principal{Name: "d1"}, &core.Principal{Name: "bea", Groups: []string{"staff"}}
	fmt.Println(a.Decide(device, core.OpPublish, "topic/d1/temperature"))
	fmt.Println(a.Decide(device, core.OpPublish, "topic/d2/temperature"))
	fmt.Println(a.Decide(staff, core.OpSubscribe, "topic/+/temperature"))
	fmt.Println(a.Decide(staff, core.OpSubscribe, "topic/#"))
	// Output:
	// {true devices}
	// {false default}
	// {true staff}
	// {false secret}
}
