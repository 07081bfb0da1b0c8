package manage

import (
	"errors"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wyemq/wye/core"
)

// Handler serves /vhosts and all below it.
type Handler struct {
	broker *core.Broker
	gate   *Gate
	log    *slog.Logger
	page   *template.Template
}

var _ http.Handler = (*Handler)(nil)

// New returns the handler for b.
func New(b *core.Broker, log *slog.Logger) *Handler {
	return &Handler{broker: b, gate: NewGate(b), log: log.With("listener", "admin"), page: newPage()}
}

// ServeHTTP implements [http.Handler]. Pages of other origins may not change anything.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		http.Error(w, "pages of other origins may not change anything here", http.StatusForbidden)
		return
	}
	path, names := parse(r.URL.EscapedPath())
	methods := map[string]map[string]func(http.ResponseWriter, *http.Request, []string){
		"vhosts":                  {http.MethodGet: h.vhosts},
		"vhosts/*/queues":         {http.MethodGet: h.queues},
		"vhosts/*/queues/*":       {http.MethodDelete: h.deleteQueue},
		"vhosts/*/queues/*/purge": {http.MethodPost: h.purge},
		"vhosts/*/sessions":       {http.MethodGet: h.sessions},
		"vhosts/*/sessions/*":     {http.MethodDelete: h.disconnect},
	}[path]
	serve := methods[r.Method]
	switch {
	case methods == nil:
		http.NotFound(w, r)
	case serve == nil:
		w.Header().Set("Allow", slices.Collect(maps.Keys(methods))[0]) // there is one
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	default:
		serve(w, r, names)
	}
}

// parse takes the names out of a path: every second level. (http.ServeMux takes %2F for the end of a path.)
func parse(escaped string) (path string, names []string) {
	levels := strings.Split(strings.Trim(escaped, "/"), "/")
	for i := 1; i < len(levels); i += 2 {
		name, err := url.PathUnescape(levels[i])
		if err != nil || name == "" {
			return "", nil
		}
		names = append(names, name)
		levels[i] = "*"
	}
	return strings.Join(levels, "/"), names
}

// vhost is what is told of a virtual host.
type vhost struct {
	Name          string `json:"name"`
	Served        bool   `json:"served"`
	Sessions      int    `json:"sessions"`
	Kept          int    `json:"kept"`
	Subscriptions int    `json:"subscriptions"`
	Queues        int    `json:"queues"`
	Ready         int    `json:"ready"`
	Unacked       int    `json:"unacked"`
	Received      uint64 `json:"received"`
	Delivered     uint64 `json:"delivered"`
}

func (h *Handler) vhosts(w http.ResponseWriter, r *http.Request, _ []string) {
	v, err := h.gate.visit(r, "")
	if err != nil {
		Refuse(w, err)
		return
	}
	list := []vhost{}
	p := page{Title: "Virtual hosts", Columns: []string{"name", "sessions", "kept", "subscriptions", "queues", "ready", "unacked"}}
	for _, s := range h.broker.Stats().VHosts {
		if err = v.May(r.Context(), core.OpManage, s.Name, core.VHostName(s.Name)); err != nil {
			continue
		}
		one := vhost{Name: s.Name, Served: s.Served, Sessions: s.Sessions, Kept: s.Kept, Subscriptions: s.Subscriptions, Queues: len(s.Queues)}
		for i := range s.Queues {
			one.Ready += s.Queues[i].Ready
			one.Unacked += s.Queues[i].Unacked
		}
		for _, p := range s.Protocols {
			one.Received += p.In
			one.Delivered += p.Out
		}
		list = append(list, one)
		p.add(below(one.Name, "queues"), one.Name, one.Sessions, one.Kept, one.Subscriptions, one.Queues, one.Ready, one.Unacked)
	}
	if len(list) == 0 && err != nil {
		Refuse(w, unknown(v, err))
		return
	}
	h.show(w, r, list, &p)
}

// may returns who may manage dest in a virtual host; nil: it was answered that he may not. A virtual host that is not there
// is refused like one of others.
func (h *Handler) may(w http.ResponseWriter, r *http.Request, vhost, dest string) *core.Visitor {
	v, err := h.gate.visit(r, vhost)
	if err == nil {
		if err = v.May(r.Context(), core.OpManage, vhost, dest); err == nil {
			return v
		}
		err = unknown(v, err)
	}
	Refuse(w, err)
	return nil
}

// queue is what is told of a queue.
type queue struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Ready     int    `json:"ready"`
	Unacked   int    `json:"unacked"`
	Consumers int    `json:"consumers"`
	Bytes     int64  `json:"bytes"`
}

// queues lists the queues that have names. Who may manage the virtual host sees those of sessions and groups as well.
func (h *Handler) queues(w http.ResponseWriter, r *http.Request, names []string) {
	name := names[0]
	v, err := h.gate.visit(r, name)
	if err != nil {
		Refuse(w, err)
		return
	}
	all := v.May(r.Context(), core.OpManage, name, core.VHostName(name))
	list, refused := []queue{}, all
	p := page{
		Title: "Queues of " + name, Other: &cell{"Sessions", below(name, "sessions")},
		Columns: []string{"name", "kind", "ready", "unacked", "consumers", "bytes"},
	}
	for _, s := range h.broker.Stats().VHosts {
		if s.Name != name {
			continue
		}
		for _, q := range s.Queues {
			if all != nil {
				if q.Kind != "queue" {
					continue
				}
				if err := v.May(r.Context(), core.OpManage, name, q.Name); err != nil {
					continue
				}
				refused = nil
			}
			one := queue{strings.TrimPrefix(q.Name, "queue/"), q.Kind, q.Ready, q.Unacked, q.Consumers, q.Bytes}
			list = append(list, one)
			p.add("", one.Name, one.Kind, one.Ready, one.Unacked, one.Consumers, one.Bytes)
		}
	}
	if refused != nil {
		Refuse(w, unknown(v, refused))
		return
	}
	h.show(w, r, list, &p)
}

func (h *Handler) purge(w http.ResponseWriter, r *http.Request, names []string) {
	vhost, dest := names[0], "queue/"+names[1]
	v := h.may(w, r, vhost, dest)
	if v == nil {
		return
	}
	n, err := h.broker.Purge(r.Context(), vhost, dest)
	if h.done(w, err) {
		h.log.Info("queue purged", "user", v.Name(), "remote", r.RemoteAddr, "vhost", vhost, "queue", dest, "messages", n)
		answer(w, map[string]uint64{"messages": n})
	}
}

func (h *Handler) deleteQueue(w http.ResponseWriter, r *http.Request, names []string) {
	vhost, dest := names[0], "queue/"+names[1]
	v := h.may(w, r, vhost, dest)
	if v == nil {
		return
	}
	if h.done(w, h.broker.DeleteQueue(r.Context(), vhost, dest)) {
		h.log.Info("queue deleted", "user", v.Name(), "remote", r.RemoteAddr, "vhost", vhost, "queue", dest)
		w.WriteHeader(http.StatusNoContent)
	}
}

// session is what is told of a client.
type session struct {
	Client   string `json:"client"`
	User     string `json:"user"`
	Listener string `json:"listener"`
	Remote   string `json:"remote"`
	Conn     string `json:"conn"`
}

func (h *Handler) sessions(w http.ResponseWriter, r *http.Request, names []string) {
	name := names[0]
	v, err := h.gate.visit(r, name)
	if err != nil {
		Refuse(w, err)
		return
	}
	refused := v.May(r.Context(), core.OpManage, name, core.VHostName(name))
	list := []session{}
	p := page{
		Title: "Sessions of " + name, Other: &cell{"Queues", below(name, "queues")},
		Columns: []string{"client", "user", "listener", "remote"},
	}
	for _, s := range h.broker.Sessions(name) {
		if err := v.May(r.Context(), core.OpManage, name, core.ClientName(s.ClientID)); err == nil {
			list = append(list, session{s.ClientID, s.User, s.Listener, s.Remote, s.ConnID})
			p.add("", s.ClientID, s.User, s.Listener, s.Remote)
			refused = nil
		}
	}
	if refused != nil {
		Refuse(w, unknown(v, refused))
		return
	}
	h.show(w, r, list, &p)
}

func (h *Handler) disconnect(w http.ResponseWriter, r *http.Request, names []string) {
	vhost, client := names[0], names[1]
	v := h.may(w, r, vhost, core.ClientName(client))
	if v == nil {
		return
	}
	if h.done(w, h.broker.Disconnect(vhost, client)) {
		h.log.Info("client disconnected", "user", v.Name(), "remote", r.RemoteAddr, "vhost", vhost, "client", client)
		w.WriteHeader(http.StatusNoContent)
	}
}

// done reports whether there is no error to answer.
func (h *Handler) done(w http.ResponseWriter, err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, core.ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, core.ErrInUse):
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		h.log.Error("not done", "error", err)
		http.Error(w, core.ErrUnavailable.Error(), http.StatusServiceUnavailable)
	}
	return false
}
