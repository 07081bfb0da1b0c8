package edge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/wyemq/wye/core/edge"
)

// The address of a client behind a proxy. What is further to the left the client may have written itself.
func Example() {
	trusted, err := edge.ParseNetworks([]string{"10.0.0.0/8"})
	if err != nil {
		fmt.Println(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 198.51.100.7")
	fmt.Println(trusted.Requester(r, edge.XForwardedFor))
	r.RemoteAddr = "192.0.2.1:4711"
	fmt.Println(trusted.Requester(r, edge.XForwardedFor))
	// Output:
	// 198.51.100.7:0
	// 192.0.2.1:4711
}
