package jwt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"
)

const (
	// maxSet bounds what a URL answers.
	maxSet = 1 << 20
	// stale is how long keys count that could not be read again.
	stale = 24 * time.Hour
	// soonest is how often a key id that is not known may cause a request.
	soonest = 10 * time.Second
)

// source is a place that keys are read from again and again.
type source struct {
	name string
	read func(ctx context.Context) ([]key, error)
	log  *slog.Logger

	reading sync.Mutex // held while keys are read: whoever wants them too waits, and finds them there

	mu    sync.RWMutex
	keys  []key
	at    time.Time // keys were read
	tried time.Time
}

// fileSource reads a file.
func fileSource(path string, log *slog.Logger) *source {
	return &source{name: path, log: log.With("source", path), read: func(context.Context) ([]key, error) {
		data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return nil, err
		}
		keys, err := parseKeys(data, true)
		for i := range keys {
			keys[i].proof = fingerprint(keys[i].value)
		}
		return keys, err
	}}
}

// urlSource fetches a URL. What it logs is without its query, which may hold a key.
func urlSource(address string, timeout time.Duration, client *http.Client, log *slog.Logger) *source {
	shown, _, _ := strings.Cut(address, "?")
	return &source{name: address, log: log.With("source", shown), read: func(ctx context.Context) ([]key, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "application/jwk-set+json, application/json")
		resp, err := client.Do(req)
		if failed, ok := errors.AsType[*url.Error](err); ok {
			return nil, failed.Err
		}
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("status %s", resp.Status)
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxSet+1))
		if err != nil {
			return nil, err
		}
		if len(data) > maxSet {
			return nil, errors.New("the key set is too large")
		}
		return parseKeys(data, false)
	}}
}

// take makes the keys of old count here, until they are read.
func (s *source) take(old *source) {
	old.mu.RLock()
	defer old.mu.RUnlock()
	s.keys, s.at = old.keys, old.at
}

// sameKeys reports whether both are the same keys in the same order.
func sameKeys(a, b []key) bool { return reflect.DeepEqual(a, b) }

// current returns the keys, while they count.
func (s *source) current() []key {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if time.Since(s.at) > stale {
		return nil
	}
	return s.keys
}

// refresh reads the keys, unless that was tried in the last interval.
func (s *source) refresh(ctx context.Context, interval time.Duration) {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.mu.RLock()
	recent := !s.tried.IsZero() && time.Since(s.tried) < interval
	s.mu.RUnlock()
	if recent {
		return
	}
	keys, err := s.read(ctx)
	if ctx.Err() != nil {
		return // whoever asked has gone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = time.Now()
	if err != nil {
		s.log.Warn("keys not read, the old ones count for a day", "old", len(s.keys), "error", err)
		return
	}
	s.keys, s.at = keys, s.tried
}
