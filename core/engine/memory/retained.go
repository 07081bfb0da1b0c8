package memory

import (
	"context"
	"strings"
	"time"

	"github.com/wyemq/wye/core/engine"
)

// retained is a trie by level. Engine.mu guards it.
type retained struct {
	e    *Engine
	root leaf
	size int
}

type leaf struct {
	children map[string]*leaf
	msg      *engine.Message
}

func (r *retained) set(topic string, m *engine.Message) { r.root.set(topic, false, m, &r.size) }

// Len implements engine.Retained.
func (r *retained) Len() int {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	return r.size
}

// set returns whether the leaf is empty, and so of no use. size counts the messages.
func (l *leaf) set(rest string, over bool, m *engine.Message, size *int) bool {
	if over {
		if l.msg != nil {
			*size--
		}
		if m != nil {
			*size++
		}
		l.msg = m
	} else {
		level, rest, more := strings.Cut(rest, "/")
		c := l.children[level]
		if c == nil {
			if m == nil {
				return false
			}
			if l.children == nil {
				l.children = make(map[string]*leaf)
			}
			c = new(leaf)
			l.children[level] = c
		}
		if c.set(rest, !more, m, size) {
			delete(l.children, level)
		}
	}
	return l.msg == nil && len(l.children) == 0
}

// Match implements engine.Retained. What matches is gathered under the lock, fn is called without it.
func (r *retained) Match(ctx context.Context, filter string, fn func(*engine.Message) bool) error {
	var found []*engine.Message
	now := time.Now()
	r.e.mu.Lock()
	r.root.match(strings.Split(filter, "/"), now, &found)
	r.e.mu.Unlock()
	for _, m := range found {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !fn(m) {
			return nil
		}
	}
	return nil
}

func (l *leaf) match(levels []string, now time.Time, found *[]*engine.Message) {
	if len(levels) == 0 {
		if l.msg != nil && (l.msg.Expires.IsZero() || now.Before(l.msg.Expires)) {
			*found = append(*found, l.msg)
		}
		return
	}
	switch levels[0] {
	case "#":
		if len(levels) == 1 {
			l.all(now, found)
			return
		}
		l.match(levels[1:], now, found)
		if len(levels) > 1 && levels[1] == "#" {
			return
		}
		for _, c := range l.children {
			c.match(levels, now, found)
		}
	case "+":
		for _, c := range l.children {
			c.match(levels[1:], now, found)
		}
	default:
		if c := l.children[levels[0]]; c != nil {
			c.match(levels[1:], now, found)
		}
	}
}

func (l *leaf) all(now time.Time, found *[]*engine.Message) {
	l.match(nil, now, found)
	for _, c := range l.children {
		c.all(now, found)
	}
}
