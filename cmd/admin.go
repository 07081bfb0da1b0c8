package wyecmd

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"go.uber.org/fx"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/core/edge"
	"github.com/wyemq/wye/plugins/admin"
	"github.com/wyemq/wye/plugins/audit"
	"github.com/wyemq/wye/plugins/console"
	"github.com/wyemq/wye/plugins/manage"
	"github.com/wyemq/wye/plugins/metrics"
	"github.com/wyemq/wye/plugins/tickets"
	"github.com/wyemq/wye/transports/tcp"
	"github.com/wyemq/wye/transports/websocket"
)

// adminServer is the admin server with all that is mounted there.
func adminServer() fx.Option {
	return fx.Options(
		corefx.Config("admin", admin.DefaultConfig), corefx.Config("metrics", metrics.DefaultConfig),
		corefx.Runner(newAdmin),
	)
}

type adminIn struct {
	fx.In

	Admin     admin.Config
	Metrics   metrics.Config
	Broker    *core.Broker
	Mux       *core.Mux
	Listeners *corefx.Listeners
	Tickets   *tickets.Office
	Audit     *audit.Log
	Ready     *corefx.Readiness
	Reloader  *corefx.Reloader
	Log       *slog.Logger
}

// newAdmin mounts metrics and demos, and lets the pages of the demos connect to the WebSocket listeners.
func newAdmin(in adminIn) (*admin.Server, error) {
	var server *admin.Server
	scrapes, err := metrics.New(in.Metrics, metrics.Source{
		Broker: in.Broker.Stats, Listeners: func() []metrics.Listener { return counted(in.Listeners.All()) },
		Protocols: in.Mux.Names(), Version: in.Broker.Version(), Audit: in.Audit.Stats,
		Certificates: func() []metrics.Certificate { return shown(server.Certificates()) },
	}, in.Log)
	if err != nil {
		return nil, err
	}
	demos, err := console.New(func() []console.Listener { return bound(in.Listeners.All()) }, in.Broker.Version())
	if err != nil {
		return nil, err
	}
	restricted := ""
	if in.Metrics.Restricted {
		restricted = "broker/metrics"
	}
	server, err = admin.New(in.Admin, in.Ready.Err, []admin.Route{
		{Path: "/demo", Subtree: true, Title: "Demos", About: "STOMP and MQTT clients in your browser, talking to each other", Handler: demos},
		{Path: "/metrics", Title: "Metrics", About: "what the broker counts, for Prometheus", Handler: scrapes, Manage: restricted},
		{Path: "/reload", Methods: []string{http.MethodPost}, Manage: "broker/reload", Handler: reload{in.Reloader.Reload, requester}},
		{
			Path: "/vhosts", Subtree: true, Methods: []string{http.MethodGet, http.MethodPost, http.MethodDelete},
			Title: "Virtual hosts", About: "queues and clients of each", Handler: manage.New(in.Broker, in.Log),
		},
		{Path: "/tickets", Methods: []string{http.MethodPost}, Handler: guessed(in.Broker, in.Tickets)},
	}, in.Log)
	if err != nil {
		return nil, err
	}
	gate := manage.NewGate(in.Broker)
	server.Ask(func(r *http.Request, what string) error {
		_, err := gate.Ask(r, what)
		return err
	})
	in.Tickets.Among(in.Broker.VHosts)
	in.Tickets.Permit(func(r *http.Request) error {
		_, err := gate.Ask(r, "broker/tickets")
		return err
	})
	server.Tell(manage.WithSender, auditRequest(in.Audit))
	in.Listeners.Each(func(l *corefx.Listener) {
		if t, ok := l.Transport.(*websocket.Transport); ok {
			t.AllowOrigins(server.Serves)
		}
	})
	return server, nil
}

// guessed is around what takes credentials over HTTP, and answers 401 to those that are wrong: it makes guessing them as slow
// as guessing those of Connect.
func guessed(b *core.Broker, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := netip.ParseAddrPort(r.RemoteAddr) // of a unix socket there is none
		tried, after, err := b.Try(r.Context(), from.Addr(), "$http")
		if err != nil {
			w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds()+1)))
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = fmt.Fprintln(w, err)
			return
		}
		answer := &admin.Answer{ResponseWriter: w}
		h.ServeHTTP(answer, r)
		tried(answer.Status != http.StatusUnauthorized)
	})
}

// counting is a transport that counts.
type counting interface {
	Stats() tcp.Stats
	Certificates() []edge.Certificate
}

// requester is who asks the admin server: the user, if he has shown to be one, and the address.
func requester(r *http.Request) string {
	who := []string{"admin"}
	if name := manage.Sender(r.Context()); name != "" {
		who = append(who, name)
	}
	return strings.Join(append(who, r.RemoteAddr), " ")
}

// counted asks the transports that count.
func counted(listeners []*corefx.Listener) []metrics.Listener {
	var all []metrics.Listener
	for _, l := range listeners {
		t, ok := l.Transport.(counting)
		if !ok {
			continue // somebody's own, which does not count
		}
		s := t.Stats()
		m := metrics.Listener{
			Name: l.Transport.Name(), Transport: l.Scheme, Open: s.Open, Accepted: s.Accepted, Ended: s.Ended,
			ReceivedBytes: s.BytesIn, SentBytes: s.BytesOut, Limits: s.Limits,
		}
		m.Certificates = shown(t.Certificates())
		all = append(all, m)
	}
	return all
}

// shown tells the metrics of certificates.
func shown(certs []edge.Certificate) []metrics.Certificate {
	all := make([]metrics.Certificate, len(certs))
	for i, c := range certs {
		all[i] = metrics.Certificate(c)
	}
	return all
}

// bound lists the listeners that have an address.
func bound(listeners []*corefx.Listener) []console.Listener {
	var all []console.Listener
	for _, l := range listeners {
		t, ok := l.Transport.(interface{ Addr() net.Addr })
		if !ok {
			continue
		}
		if addr := t.Addr(); addr != nil {
			all = append(all, console.Listener{Name: l.Transport.Name(), URL: l.Scheme + "://" + addr.String(), Protocols: l.Protocols()})
		}
	}
	return all
}
