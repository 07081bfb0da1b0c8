package tries

import "time"

// entry is what is known of a key.
type entry struct {
	fails int
	until time.Time // when the next try may be
	last  time.Time // when something was last noted
}

// table holds a bounded number of entries.
type table[K comparable] struct {
	most    int
	entries map[K]*entry
}

// find returns what is known of k, nil if that is nothing, or too long ago.
func (t *table[K]) find(k K, now time.Time, forget time.Duration) *entry {
	e := t.entries[k]
	if e != nil && now.Sub(e.last) > forget {
		delete(t.entries, k)
		return nil
	}
	return e
}

// note returns the entry of k, made if need be.
func (t *table[K]) note(k K, now time.Time, forget time.Duration) *entry {
	e := t.find(k, now, forget)
	if e == nil {
		if t.entries == nil {
			t.entries = make(map[K]*entry)
		}
		if len(t.entries) >= t.most {
			t.evict(now, forget)
		}
		e = new(entry)
		t.entries[k] = e
	}
	e.last = now
	return e
}

// looked is how many entries are compared to find one that may go.
const looked = 32

// evict makes room: what is to be forgotten goes, else the oldest of some.
func (t *table[K]) evict(now time.Time, forget time.Duration) {
	var oldest K
	var found *entry
	n := 0
	for k, e := range t.entries { // in no order
		if now.Sub(e.last) > forget {
			delete(t.entries, k)
			continue
		}
		if found == nil || e.last.Before(found.last) {
			oldest, found = k, e
		}
		if n++; n == looked {
			break
		}
	}
	if len(t.entries) >= t.most {
		delete(t.entries, oldest)
	}
}
