package manage

import (
	"context"
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

// senderKey is where the context of a request has room for the name of who sends it.
type senderKey struct{}

// WithSender returns the context for a request of which Sender is to tell, when it was answered, who has sent it.
func WithSender(ctx context.Context) context.Context {
	return context.WithValue(ctx, senderKey{}, new(string))
}

// Sender returns the user that a Gate or a Handler has found to send the request of that context; empty: nobody in
// particular, or nobody has asked. It asks nobody itself: credentials are for those that a route wants to see them.
func Sender(ctx context.Context) string {
	if name, ok := ctx.Value(senderKey{}).(*string); ok {
		return *name
	}
	return ""
}

// unknown tells who has shown no credentials that some may help.
func unknown(v *core.Visitor, err error) error {
	if v.Name() == "" {
		return fmt.Errorf("%w: %w", core.ErrLogin, err)
	}
	return err
}

func (g *Gate) visit(r *http.Request, vhost string) (*core.Visitor, error) {
	v, err := g.broker.Visit(r.Context(), info(r), vhost)
	if err != nil {
		return nil, err
	}
	if name, ok := r.Context().Value(senderKey{}).(*string); ok {
		*name = v.Name()
	}
	return v, nil
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
