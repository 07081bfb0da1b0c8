package clientcert_test

import (
	"context"
	"fmt"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/clientcert"
)

// The common name is the user, the organizational units are the groups.
func Example() {
	cfg := clientcert.DefaultConfig()
	cfg.Enabled = true
	a, err := clientcert.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := a.Authenticate(context.Background(), &core.Login{Conn: verified(cert())})
	fmt.Println(p.Name, p.Groups, err)
	// Output: ali [ops dev] <nil>
}
