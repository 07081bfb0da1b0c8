package admin

import (
	"fmt"
	"net/http"
	"net/http/pprof" // also registers with http.DefaultServeMux, which nobody here serves
)

// pprofPolicy lets the index of profiles have the style that is written into it.
const pprofPolicy = strictPolicy + "; style-src 'unsafe-inline'"

// ownRoutes are those that need nobody else.
func ownRoutes(cfg Config, ready func() error) []Route {
	routes := []Route{
		{Path: "/healthz", Title: "Alive", About: "200 while the process lives", Handler: http.HandlerFunc(alive)},
		{Path: "/readyz", Title: "Ready", About: "200 when clients can connect, else 503 and why not", Handler: readiness(ready)},
	}
	if cfg.Pprof {
		routes = append(routes, Route{
			Path: "/debug/pprof", Subtree: true, Manage: "broker/profiles", Title: "Profiles", About: "of the running process, for go tool pprof",
			Methods: []string{http.MethodGet, http.MethodHead, http.MethodPost}, Handler: profiles(),
		})
	}
	return routes
}

func alive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, "ok")
}

func readiness(ready func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			refuse(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, "ready")
	})
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pprofPolicy)
		mux.ServeHTTP(w, r)
	})
}
