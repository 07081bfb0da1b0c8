package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Certificate tells of one that is in use, or of a revocation list.
type Certificate struct {
	// File is where it was read from, Subject whom it is for.
	File, Subject string
	// NotAfter is when it, or the first certificate of its chain, ends.
	NotAfter time.Time
}

// describe tells of a certificate that was read from file.
func describe(file string, c *tls.Certificate) Certificate {
	d := Certificate{File: file, Subject: c.Leaf.Subject.CommonName, NotAfter: c.Leaf.NotAfter}
	if len(c.Leaf.DNSNames) > 0 {
		d.Subject = c.Leaf.DNSNames[0]
	}
	for _, der := range c.Certificate[1:] {
		if above, err := x509.ParseCertificate(der); err == nil && above.NotAfter.Before(d.NotAfter) {
			d.NotAfter = above.NotAfter
		}
	}
	return d
}

// Certificates are the certificates, keys and authorities of a listener. They change while it is open: by Prepare, and when
// a file changes.
type Certificates struct {
	log       *slog.Logger
	protocols []string

	mu   sync.Mutex
	used *material
}

// Server returns the configuration for crypto/tls. At each handshake it is looked whether a file has changed, and all are
// read again if so; while they make no sense the old ones stay, which is logged once for each change.
func (c *Certificates) Server() *tls.Config {
	cfg := c.current().cfg.Clone()
	// What it returns is the same as long as nothing changes, so that sessions can be resumed.
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current().cfg, nil }
	return cfg
}

// Prepare reads the files of t, which is valid, and returns how to use them from the next handshake on.
func (c *Certificates) Prepare(t TLS) (use func(), err error) {
	m, err := load(t, c.protocols)
	if err != nil {
		return nil, err
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.used = m
	}, nil
}

// List tells of those in use.
func (c *Certificates) List() []Certificate { return slices.Clone(c.current().certs) }

// current returns what is to be used now.
func (c *Certificates) current() *material {
	c.mu.Lock()
	used := c.used
	c.mu.Unlock()
	now := look(used.from)
	if slices.Equal(now, used.stamps) {
		return used
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used != used {
		return c.used // somebody else has seen it too
	}
	m, err := load(used.from, c.protocols)
	if err != nil {
		c.log.Warn("changed TLS files are not usable, the old ones stay", "error", err)
		same := *used
		same.stamps = now
		c.used = &same
		return c.used
	}
	c.log.Info("TLS files read again", "cert_file", m.from.CertFile)
	c.used = m
	return m
}

const day = 24 * time.Hour

// watchEvery is how often Watch looks.
const watchEvery = time.Hour

// Watch warns of what ends within 30 days, 7 days and 1 day, once each, and when it has ended. It returns when ctx is done.
func (c *Certificates) Watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	told := make(map[Certificate]time.Duration)
	for {
		c.warn(told)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// warn tells of what ends soon. told remembers the last threshold that was told of each certificate in use.
func (c *Certificates) warn(told map[Certificate]time.Duration) {
	all := c.List()
	for _, cert := range all {
		left := time.Until(cert.NotAfter)
		for _, within := range []time.Duration{0, day, 7 * day, 30 * day} {
			if left > within {
				continue
			}
			if last, ok := told[cert]; ok && last == within {
				break
			}
			told[cert] = within
			if within == 0 {
				c.log.Error("certificate has ended", "file", cert.File, "subject", cert.Subject, "not_after", cert.NotAfter)
			} else {
				c.log.Warn("certificate ends soon", "file", cert.File, "subject", cert.Subject, "not_after", cert.NotAfter, "days", int(left/day))
			}
			break
		}
	}
	for cert := range told {
		if !slices.Contains(all, cert) {
			delete(told, cert)
		}
	}
}
