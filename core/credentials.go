package core

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Where credentials come from.
const (
	FromConnect       = "connect"       // the protocol: CONNECT of STOMP and MQTT
	FromTicket        = "ticket"        // the parameter "ticket" of the URL
	FromAuthorization = "authorization" // the header Authorization of the upgrade, Bearer or Basic
	FromSubprotocol   = "subprotocol"   // bearer.<token> beside the protocol's own
	FromCookie        = "cookie"        // the one that Options.Cookie names
	FromRefresh       = "refresh"       // those that replace others: see Session.Refresh
)

// DefaultCredentials returns the order in which credentials are looked for: what a client says itself comes before what its
// browser says for it.
func DefaultCredentials() []string {
	return []string{FromConnect, FromTicket, FromAuthorization, FromSubprotocol, FromCookie}
}

func checkCredentials(sources []string) error {
	known := DefaultCredentials()
	for i, s := range sources {
		if !slices.Contains(known, s) {
			return fmt.Errorf("credentials come from %s, not from %q", strings.Join(known, ", "), s)
		}
		if slices.Contains(sources[:i], s) {
			return fmt.Errorf("credentials: %q is there twice", s)
		}
	}
	return nil
}

// gather leaves in l the credentials of the first place that has some, and no others.
func (b *Broker) gather(l *Login) error {
	given := Login{User: l.User, Password: l.Password, Token: l.Token, Ticket: l.Ticket}
	l.User, l.Password, l.Token, l.Ticket, l.Source = "", "", "", "", ""
	info := infoOf(l.Conn)
	if info == nil {
		info = &ConnInfo{}
	}
	for _, source := range b.options().Credentials {
		switch source {
		case FromConnect:
			l.User, l.Password, l.Token, l.Ticket = given.User, given.Password, given.Token, given.Ticket
		case FromTicket:
			l.Ticket = info.Ticket
		case FromAuthorization:
			if err := l.authorization(info.Header.Get("Authorization")); err != nil {
				return err
			}
		case FromSubprotocol:
			l.Token = info.Bearer
		case FromCookie:
			l.Token = cookie(info.Header, b.options().Cookie)
		}
		if l.User != "" || l.Password != "" || l.Token != "" || l.Ticket != "" {
			l.Source = source
			return nil
		}
	}
	return nil
}

// authorization reads the header of RFC 9110, section 11.6.2. Schemes that nobody here knows are somebody else's.
func (l *Login) authorization(header string) error {
	scheme, text, _ := strings.Cut(header, " ")
	text = strings.TrimSpace(text)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		l.Token = text
	case strings.EqualFold(scheme, "Basic"):
		plain, err := base64.StdEncoding.DecodeString(text)
		user, password, ok := strings.Cut(string(plain), ":")
		if err != nil || !ok {
			return fmt.Errorf("the Authorization header is not Basic as RFC 7617 has it: %w", ErrLogin)
		}
		l.User, l.Password = user, password
	}
	return nil
}

func cookie(h http.Header, name string) string {
	if name == "" || h == nil {
		return ""
	}
	c, err := (&http.Request{Header: h}).Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// remoteOf returns the address of the client, if it has one.
func remoteOf(c Conn) netip.Addr {
	if c == nil || c.Info() == nil {
		return netip.Addr{}
	}
	if a, ok := c.Info().Remote.(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
