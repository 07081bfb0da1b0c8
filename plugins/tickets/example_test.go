package tickets_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/tickets"
)

// An application asks for a ticket, and a page logs in with it.
func Example() {
	cfg := tickets.DefaultConfig()
	cfg.Key = "the application's key"
	office, err := tickets.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodPost, "/tickets", strings.NewReader(`{"user": "ali"}`))
	r.Header.Set("Authorization", "Bearer the application's key")
	w := httptest.NewRecorder()
	office.ServeHTTP(w, r)
	var answer struct{ Ticket string }
	if err := json.NewDecoder(w.Body).Decode(&answer); err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		p, err := office.Authenticate(context.Background(), &core.Login{Ticket: answer.Ticket})
		fmt.Println(p.Name, err)
	}
	// Output:
	// ali <nil>
	//  the ticket is not known, was used or is too old: login refused
}
