package disk

import (
	"encoding/binary"
	"fmt"
)

// unref takes one reference to a shared body back.
func (c *committer) unref(body uint64) error {
	n, ok := c.refs[body]
	if !ok {
		v, closer, err := c.e.db.Get(appendBodyKey(nil, kindRefs, body))
		if err != nil {
			return fmt.Errorf("references to body %d: %w", body, err)
		}
		n, _ = binary.Uvarint(v)
		if err := closer.Close(); err != nil {
			return err
		}
	}
	c.refs[body] = max(n, 1) - 1
	return nil
}

// finishRefs stores how many references there are, and deletes the bodies that have none.
func (c *committer) finishRefs(g *group) error {
	for body, n := range c.refs {
		if n > 0 {
			c.val = binary.AppendUvarint(c.val[:0], n)
			if err := g.batch.Set(appendBodyKey(c.key[:0], kindRefs, body), c.val, nil); err != nil {
				return err
			}
			continue
		}
		for _, kind := range []byte{kindRefs, kindBody} {
			if err := g.batch.Delete(appendBodyKey(c.key[:0], kind, body), nil); err != nil {
				return err
			}
		}
	}
	clear(c.refs)
	return nil
}
