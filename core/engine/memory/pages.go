package memory

import (
	"iter"

	"github.com/wyemq/wye/core/engine"
)

// What is known of a record.
const (
	live   = 1 << iota // it is there
	read               // Next has given it to this owner
	waits              // it is in later, or due in its lane
	handed             // a client of an owner before has had it
)

// record is one place of a page.
type record struct {
	msg        *engine.Message
	deliveries uint32
	flags      uint8
}

const pageSize = 64

type page struct {
	records [pageSize]record
	live    int
}

// pages holds records by Seq. Pages without a live record are nil; there are none of those at the ends of the list.
type pages struct {
	list  []*page
	first uint64 // number of list[0]
}

func split(seq engine.Seq) (number uint64, place int) {
	return uint64(seq) / pageSize, int(seq % pageSize)
}

// get returns a live record, or nil.
func (p *pages) get(seq engine.Seq) *record {
	n, i := split(seq)
	pg := p.page(n)
	if pg == nil || pg.records[i].flags&live == 0 {
		return nil
	}
	return &pg.records[i]
}

// put makes room for a record after all others.
func (p *pages) put(e *Engine, seq engine.Seq) *record {
	n, i := split(seq)
	if len(p.list) == 0 {
		p.first = n
	}
	for p.first+uint64(len(p.list)) <= n {
		p.list = append(p.list, nil)
	}
	pg := p.list[n-p.first]
	if pg == nil {
		pg, _ = e.spare.Get().(*page)
		p.list[n-p.first] = pg
	}
	pg.live++
	return &pg.records[i]
}

// clear removes a live record.
func (p *pages) clear(e *Engine, seq engine.Seq) {
	n, i := split(seq)
	at := n - p.first
	pg := p.list[at]
	pg.records[i] = record{}
	pg.live--
	if pg.live > 0 {
		return
	}
	p.list[at] = nil
	e.spare.Put(pg)
	for len(p.list) > 0 && p.list[0] == nil {
		p.list = p.list[1:]
		p.first++
	}
	for len(p.list) > 0 && p.list[len(p.list)-1] == nil {
		p.list = p.list[:len(p.list)-1]
	}
	if len(p.list) == 0 {
		p.list = nil
	}
}

// all yields the live records from a Seq on. The one yielded may be cleared.
func (p *pages) all(from engine.Seq) iter.Seq2[engine.Seq, *record] {
	return func(yield func(engine.Seq, *record) bool) {
		n, i := split(from)
		if n < p.first {
			n, i = p.first, 0
		}
		for ; n < p.first+uint64(len(p.list)); n, i = n+1, 0 {
			for pg := p.page(n); pg != nil && i < pageSize; i++ {
				if pg.records[i].flags&live == 0 {
					continue
				}
				if !yield(engine.Seq(n*pageSize+uint64(i)), &pg.records[i]) {
					return
				}
				pg = p.page(n) // it may have gone
			}
		}
	}
}

func (p *pages) page(n uint64) *page {
	if n < p.first || n-p.first >= uint64(len(p.list)) {
		return nil
	}
	return p.list[n-p.first]
}
