package core

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Visitor is somebody who is known and has no session: an administrator, by HTTP.
type Visitor struct {
	b *Broker
	p Principal
}

// visiting is what authenticators see of a request: where it comes from.
type visiting struct {
	Conn

	info *ConnInfo
}

func (v visiting) Info() *ConnInfo { return v.info }

// Visit finds out who asks, as Connect does. vhost is the virtual host that is asked about; "": none. The error wraps ErrLogin.
func (b *Broker) Visit(ctx context.Context, info *ConnInfo, vhost string) (*Visitor, error) {
	l := Login{Protocol: "http", Conn: visiting{info: info}}
	if err := b.gather(&l); err != nil {
		return nil, err
	}
	l.VHost = cmp.Or(vhost, defaultVHost)
	p, err := b.identify(ctx, &l)
	if err != nil {
		return nil, err
	}
	p.Remote = remoteOf(l.Conn)
	return &Visitor{b, p}, nil
}

// Name returns the user; empty for anonymous.
func (v *Visitor) Name() string { return v.p.Name }

// May asks whether the visitor may do op on dest in a virtual host; "" is the default, which stands for the broker as well. Who
// is of a virtual host may do nothing elsewhere, and who is of none does nothing where he may not log in. The error wraps
// ErrDenied.
func (v *Visitor) May(ctx context.Context, op Op, vhost, dest string) error {
	vhost = cmp.Or(vhost, defaultVHost)
	p := v.p
	p.VHost = vhost
	switch {
	case v.p.VHost != "" && v.p.VHost != vhost:
		return fmt.Errorf("virtual host %q: access denied: %w", clipped(vhost), ErrDenied)
	case v.p.VHost == "" && vhost != defaultVHost:
		if err := v.b.authorize(ctx, &p, OpConnect, VHostName(vhost)); err != nil {
			return err
		}
	}
	return v.b.authorize(ctx, &p, op, dest)
}

// ClientName is what a client id is called when an [Authorizer] is asked about it: "client/<id>".
func ClientName(id string) string { return "client/" + url.PathEscape(id) }

// VHostName is what a virtual host is called when an [Authorizer] is asked about it: "vhost/<name>".
func VHostName(name string) string { return "vhost/" + url.PathEscape(name) }

// DeleteQueue deletes a queue and what is in it. vhost "" is the default. ErrNotFound: there is none; ErrInUse: it has
// consumers.
func (b *Broker) DeleteQueue(ctx context.Context, vhost, dest string) error {
	v := b.known(vhost)
	if v == nil || !strings.HasPrefix(dest, "queue/") {
		return fmt.Errorf("queue %s: %w", dest, ErrNotFound)
	}
	bq := v.lookup(v.queueLog(dest))
	if bq == nil {
		return fmt.Errorf("queue %s: %w", dest, ErrNotFound)
	}
	bq.mu.Lock()
	members := bq.members
	bq.mu.Unlock()
	if members > 0 {
		return fmt.Errorf("queue %s has %d consumers: %w", dest, members, ErrInUse)
	}
	return v.remove(ctx, bq)
}

// SessionInfo describes a client that is connected.
type SessionInfo struct {
	ClientID, User           string
	Listener, Remote, ConnID string // of its connection
}

// Sessions lists the clients that are connected to a virtual host, by client id. vhost "" is the default.
func (b *Broker) Sessions(vhost string) []SessionInfo {
	vhost = cmp.Or(vhost, defaultVHost)
	b.mu.Lock()
	var all []SessionInfo
	for key, s := range b.online {
		if key.vhost == vhost {
			all = append(all, s.describe())
		}
	}
	b.mu.Unlock()
	slices.SortFunc(all, func(a, b SessionInfo) int { return strings.Compare(a.ClientID, b.ClientID) })
	return all
}

func (s *Session) describe() SessionInfo {
	d := SessionInfo{ClientID: s.principal.ClientID, User: s.principal.Name}
	info := infoOf(s.conn)
	if info == nil {
		return d
	}
	d.Listener, d.ConnID = info.Listener, info.ID
	if info.Remote != nil {
		d.Remote = info.Remote.String()
	}
	return d
}

// Disconnect ends the session of a client with ErrAdmin. vhost "" is the default. ErrNotFound: it is not connected.
func (b *Broker) Disconnect(vhost, client string) error {
	b.mu.Lock()
	s := b.online[clientKey{cmp.Or(vhost, defaultVHost), client}]
	b.mu.Unlock()
	if s == nil {
		return fmt.Errorf("client %q: %w", clipped(client), ErrNotFound)
	}
	s.end(ErrAdmin)
	return nil
}
