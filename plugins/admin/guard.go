package admin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/wyemq/wye/core"
)

// strictPolicy lets a browser do nothing with an answer but show it.
const strictPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard is around all that is served: headers, host, the page that asks, route, method, and a panic costs one answer.
func (s *Server) guard(t *table) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		s.unproxy(r)
		w := &Answer{ResponseWriter: out, Status: http.StatusOK}
		if s.begin != nil {
			r = r.WithContext(s.begin(r.Context()))
		}
		if s.told != nil {
			defer func() { s.told(r, w.Status) }()
		}
		defer s.rescue(w, r)
		h := w.Header()
		h.Set("Content-Security-Policy", strictPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY") // for browsers that know no frame-ancestors
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.knows(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, fmt.Sprintf("the admin server does not know the host %q; "+
				"ask for localhost or an IP address, or add the name to admin.hosts", r.Host))
			return
		}
		if err := s.foreign.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "pages of other origins may only look: "+err.Error())
			return
		}
		route := t.find(r.URL.Path)
		if route == nil {
			refuse(w, http.StatusNotFound, "there is nothing at "+r.URL.Path+"; there is: "+strings.Join(t.paths(), " "))
			return
		}
		if allowed := route.methods(); !slices.Contains(allowed, r.Method) {
			h.Set("Allow", strings.Join(allowed, ", "))
			refuse(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s takes %s, not %s", route.Path, strings.Join(allowed, ", "), r.Method))
			return
		}
		if !s.permits(w, r, route) {
			return
		}
		route.Handler.ServeHTTP(w, r)
	})
}

// Answer remembers the status that was sent. It is for one request, as the ResponseWriter that it wraps.
type Answer struct {
	http.ResponseWriter

	Status int // before anything was sent: what it was made with
}

// WriteHeader implements http.ResponseWriter.
func (a *Answer) WriteHeader(status int) {
	a.Status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// permits asks whether r may do what it takes to manage, and answers when it may not.
func (s *Server) permits(w http.ResponseWriter, r *http.Request, route *Route) bool {
	if route.Manage == "" || s.ask == nil {
		return true
	}
	err := s.ask(r, route.Manage)
	switch {
	case err == nil:
		return true
	case errors.Is(err, core.ErrTries):
		w.Header().Set("Retry-After", "30")
		refuse(w, http.StatusTooManyRequests, core.ErrTries.Error())
	case errors.Is(err, core.ErrLogin):
		w.Header().Set("WWW-Authenticate", `Basic realm="wye", charset="UTF-8"`)
		refuse(w, http.StatusUnauthorized, "credentials are needed of somebody who may manage "+route.Manage)
	default:
		refuse(w, http.StatusForbidden, "nobody may do that who may not manage "+route.Manage)
	}
	return false
}

// knows reports whether the server answers under the name in a Host header. IP addresses cannot be
// made to point elsewhere, and localhost is always this machine: any other name was somebody's choice.
func (s *Server) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if _, err := netip.ParseAddr(host); err == nil || localName(host) {
		return true
	}
	cfg := s.now.Load().cfg
	listen, _, _ := net.SplitHostPort(cfg.Listen)
	if len(cfg.Hosts) == 0 && cfg.Listen != "" && !local(listen) {
		return true
	}
	return slices.ContainsFunc(cfg.Hosts, func(name string) bool { return strings.EqualFold(name, host) })
}

// rescue turns a panic into a log line and, when nothing was sent yet, an answer.
func (s *Server) rescue(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p) // the way to end a connection, known to net/http
	}
	s.log.Error("panic while answering a request", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	refuse(w, http.StatusInternalServerError, "internal error, see the log")
}

// refuse answers with a text for people.
func refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text)
}
