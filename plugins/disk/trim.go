package disk

import "github.com/wyemq/wye/core/engine"

// trimRule says when the store is told of what is settled: after so many bytes, or less when nothing is left, and not
// for a few records.
type trimRule struct {
	bytes, last int
	records     engine.Seq
}

var defaultTrims = trimRule{bytes: 16 << 20, last: 1 << 20, records: 256}

// trim tells the store now and then that there is nothing before the first record: so it gives the room back sooner
// than for single deletions.
func (c *committer) trim(g *group, l *log, a *area, size int) error {
	a.garbage += size
	rule := &c.e.trims
	if a.no == laterArea || a.garbage < rule.bytes && (a.count > 0 || a.garbage < rule.last) {
		return nil
	}
	from, to := a.trimmed, a.first()
	if to-from < rule.records {
		return nil
	}
	a.trimmed, a.garbage = to, 0
	c.key = appendRecordKey(c.key[:0], l.num, a.no, from)
	c.val = appendRecordKey(c.val[:0], l.num, a.no, to)
	return g.batch.DeleteRange(c.key, c.val, nil)
}
