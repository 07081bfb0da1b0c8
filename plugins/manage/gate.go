package manage

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/wyemq/wye/core"
)

// Gate lets those through who may manage something of the broker.
type Gate struct{ broker *core.Broker }

// NewGate returns a gate.
func NewGate(b *core.Broker) *Gate { return &Gate{b} }

// Ask returns the user who sends r, and an error if he may not manage what, as in "broker/reload". The error wraps ErrLogin or
// ErrDenied.
func (g *Gate) Ask(r *http.Request, what string) (user string, err error) {
	v, err := g.visit(r, "")
	if err != nil {
		return "", err
	}
	if err := v.May(r.Context(), core.OpManage, "", what); err != nil {
		return "", unknown(v, err)
	}
	return v.Name(), nil
}

// Name returns the user who sends r; empty: nobody in particular.
func (g *Gate) Name(r *http.Request) (string, error) {
	v, err := g.visit(r, "")
	if err != nil {
		return "", err
	}
	return v.Name(), nil
}

// unknown tells who has shown no credentials that some may help.
func unknown(v *core.Visitor, err error) error {
	if v.Name() == "" {
		return fmt.Errorf("%w: %w", core.ErrLogin, err)
	}
	return err
}

func (g *Gate) visit(r *http.Request, vhost string) (*core.Visitor, error) {
	return g.broker.Visit(r.Context(), info(r), vhost)
}

// info is where a request comes from.
func info(r *http.Request) *core.ConnInfo {
	i := &core.ConnInfo{
		ID: "http", Listener: "admin", Transport: "http", Path: r.URL.Path, Host: r.Host, TLS: r.TLS, Header: r.Header,
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		i.Local = a
	}
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		i.Remote = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
	}
	for _, k := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		i.Forwarded = i.Forwarded || len(r.Header.Values(k)) > 0
	}
	return i
}

// Refuse answers that err keeps somebody out.
func Refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, core.ErrTries):
		w.Header().Set("Retry-After", "30")
		http.Error(w, core.ErrTries.Error(), http.StatusTooManyRequests)
	case errors.Is(err, core.ErrBusy):
		w.Header().Set("Retry-After", "5")
		http.Error(w, core.ErrBusy.Error(), http.StatusServiceUnavailable)
	case errors.Is(err, core.ErrLogin):
		w.Header().Set("WWW-Authenticate", `Basic realm="wye", charset="UTF-8"`)
		http.Error(w, core.ErrLogin.Error(), http.StatusUnauthorized)
	case errors.Is(err, core.ErrDenied):
		http.Error(w, core.ErrDenied.Error(), http.StatusForbidden)
	default:
		http.Error(w, core.ErrUnavailable.Error(), http.StatusServiceUnavailable)
	}
}
