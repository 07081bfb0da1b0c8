package httpauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/httpauth"
)

// A service that knows everybody as a guest.
func Example() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"groups": ["guests"]}`)
	}))
	defer service.Close()
	cfg := httpauth.DefaultConfig()
	cfg.URL = service.URL
	a, err := httpauth.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := a.Authenticate(context.Background(), &core.Login{User: "ali", Password: "x"})
	fmt.Println(p.Name, p.Groups, err)
	// Output: ali [guests] <nil>
}
