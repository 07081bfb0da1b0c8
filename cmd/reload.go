package wyecmd

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/corefx"
)

// reload is POST /reload. It answers 200 with what has changed, 422 with every mistake, and then nothing has.
type reload struct {
	// do is [corefx.Reloader.Reload].
	do func(ctx context.Context, by string) (corefx.Reloaded, error)
	// who says who asks.
	who func(r *http.Request) string
}

// ServeHTTP implements http.Handler.
func (h reload) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Not the request's: who goes away does not leave half of it behind.
	done, err := h.do(context.WithoutCancel(r.Context()), h.who(r))
	switch {
	case errors.Is(err, core.ErrUnavailable):
		answer(w, http.StatusServiceUnavailable, mistakes(err))
	case err != nil:
		answer(w, http.StatusUnprocessableEntity, mistakes(err))
	default:
		answer(w, http.StatusOK, done)
	}
}

func mistakes(err error) any {
	return map[string][]string{"errors": strings.Split(err.Error(), "\n")}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(body)
}
