package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/wyemq/wye/core/edge"
)

// Listen is what the configuration of every listener has: where it is, behind which proxies, with what TLS.
type Listen struct {
	// URI says scheme and address: ws://127.0.0.1:61614, tls://0.0.0.0:8883.
	URI string `koanf:"uri"`
	// Protocols names the protocols served, in the order in which they are asked about first bytes;
	// none: all. It is for whoever makes the core.Handler: the transport serves what it is given.
	Protocols []string `koanf:"protocols"`
	// TLS is for the scheme that is encrypted.
	TLS edge.TLS `koanf:"tls"`
	// TrustedProxies are addresses or CIDRs that are believed who their clients are.
	TrustedProxies []string `koanf:"trusted_proxies"`
	// ProxyProtocol says that the trusted proxies begin each connection with a PROXY header, version
	// 1 or 2.
	ProxyProtocol bool `koanf:"proxy_protocol" restart:"true"`
	// Limits bound connections and messages.
	Limits Limits `koanf:",squash"`
}

// Schemes are those of a transport.
type Schemes struct{ Plain, Secure string }

// Validate names everything that makes no sense; key is that of the listener.
func (l Listen) Validate(key string, s Schemes) error {
	a, err := ParseURI(l.URI, s.Plain, s.Secure)
	if err != nil {
		err = fmt.Errorf("%s.uri: %w", key, err)
	}
	return errors.Join(err, l.TLS.Validate(key, a.Scheme == s.Secure), l.ValidateServed(key))
}

// ValidateServed is Validate without what concerns the opening: for connections that somebody else accepts.
func (l Listen) ValidateServed(key string) error {
	errs := []error{l.Limits.Validate(key)}
	if _, err := edge.ParseNetworks(l.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("%s.trusted_proxies: %w", key, err))
	}
	if l.ProxyProtocol && len(l.TrustedProxies) == 0 {
		errs = append(errs, fmt.Errorf("%s.proxy_protocol: needs trusted_proxies, which is empty", key))
	}
	return errors.Join(errs...)
}

// Door is where connections come in: the socket, the PROXY header and TLS upon it, in this order. A transport
// embeds it.
type Door struct {
	name      string
	cfg       Listen
	schemes   Schemes
	protocols []string
	log       *slog.Logger
	trusted   atomic.Pointer[edge.Networks]

	mu       sync.Mutex
	listener net.Listener
	certs    *edge.Certificates // nil: there is no TLS
}

// NewDoor returns a closed one for the listener called name. cfg is valid; protocols are those that TLS
// negotiates (ALPN).
func NewDoor(name string, cfg Listen, s Schemes, log *slog.Logger, protocols ...string) *Door {
	d := &Door{name: name, cfg: cfg, schemes: s, protocols: protocols, log: log}
	trusted, _ := edge.ParseNetworks(cfg.TrustedProxies) // validated
	d.trusted.Store(&trusted)
	return d
}

// Trusted are the proxies that are believed now.
func (d *Door) Trusted() edge.Networks { return *d.trusted.Load() }

// Prepare reads the files of next, which is valid, and returns how to use them, and which proxies to trust, from the next
// connection on; calling that cannot fail. What else is in next is not looked at.
func (d *Door) Prepare(next Listen) (use func(), err error) {
	trusted, err := edge.ParseNetworks(next.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.trusted_proxies: %w", d.name, err)
	}
	secure := func() {}
	if d.secured() != nil {
		if secure, err = d.PrepareTLS(next.TLS); err != nil {
			return nil, err
		}
	}
	return func() {
		secure()
		d.trusted.Store(&trusted)
	}, nil
}

// Name implements core.Transport.
func (d *Door) Name() string { return d.name }

// Listen implements core.Transport.
func (d *Door) Listen(ctx context.Context) (net.Addr, error) {
	a, err := ParseURI(d.cfg.URI, d.schemes.Plain, d.schemes.Secure)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.uri: %w", d.name, err)
	}
	var certs *edge.Certificates
	if a.Scheme == d.schemes.Secure {
		if certs, err = d.cfg.TLS.Load(d.log, d.protocols...); err != nil {
			return nil, fmt.Errorf("listeners.%s.%w", d.name, err)
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.HostPort)
	if err != nil {
		return nil, fmt.Errorf("listeners.%s.uri: listen on %s: %w", d.name, d.cfg.URI, err)
	}
	if d.cfg.ProxyProtocol {
		l = &ProxyListener{Listener: l, Trusted: d.Trusted, Timeout: d.cfg.Limits.LoginTimeout}
	}
	if certs != nil {
		l = &TLSListener{Listener: l, Config: certs.Server()}
	}
	d.mu.Lock()
	d.listener, d.certs = l, certs
	d.mu.Unlock()
	return l.Addr(), nil
}

// Listener returns what Listen has opened; an error before that.
func (d *Door) Listener() (net.Listener, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener == nil {
		return nil, fmt.Errorf("listeners.%s: Serve before Listen", d.name)
	}
	return d.listener, nil
}

// Addr returns the bound address, nil before Listen.
func (d *Door) Addr() net.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener == nil {
		return nil
	}
	return d.listener.Addr()
}

// Watch warns in time of certificates that end. It returns when ctx is done.
func (d *Door) Watch(ctx context.Context) {
	if c := d.secured(); c != nil {
		c.Watch(ctx)
	}
}

// Certificates tells of the certificates in use; nil without TLS.
func (d *Door) Certificates() []edge.Certificate {
	if c := d.secured(); c != nil {
		return c.List()
	}
	return nil
}

// PrepareTLS reads the files of cfg, which is valid, and returns how to use them from the next handshake on; calling that
// cannot fail. Connections stay. It is an error to prepare TLS for a listener that is open without.
func (d *Door) PrepareTLS(cfg edge.TLS) (use func(), err error) {
	c := d.secured()
	if c == nil {
		return nil, fmt.Errorf("listeners.%s.tls: the listener is not open, or not encrypted", d.name)
	}
	if use, err = c.Prepare(cfg); err != nil {
		return nil, fmt.Errorf("listeners.%s.%w", d.name, err)
	}
	return use, nil
}

func (d *Door) secured() *edge.Certificates {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.certs
}
