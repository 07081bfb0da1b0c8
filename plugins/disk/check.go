package disk

import (
	"fmt"

	"github.com/wyemq/wye/core/engine"
)

// check finds what would make a batch fail, before anything of it is applied.
func (c *committer) check(b *engine.Batch) error {
	if n := len(b.Ops); n > atomicOps {
		return fmt.Errorf("commit %d ops: %w", n, engine.ErrScope)
	}
	grows, shrinks, bytes := false, false, 0
	for i := range b.Ops {
		op := &b.Ops[i]
		switch op.Kind {
		case engine.Settle, engine.Failed:
			if own, ok := op.Log.(*owned); !ok || own.l.e != c.e || !own.valid() {
				return fmt.Errorf("settle in a log that is not open: %w", engine.ErrNotOwner)
			}
			shrinks = shrinks || op.Kind == engine.Settle
		case engine.Put, engine.Delete:
			if !c.state.agrees(&c.e.state, op.Bucket, op.Key, op.Rev) {
				return fmt.Errorf("%s of %s/%s: %w", verb(op.Kind), op.Bucket, op.Key, engine.ErrConflict)
			}
			bytes += len(op.Value)
		case engine.Append, engine.Retain:
			n, err := room(op)
			if err != nil {
				return err
			}
			bytes += n
			grows = grows || n > 0
		default:
			return fmt.Errorf("op of kind %d: %w", op.Kind, engine.ErrScope)
		}
	}
	if bytes > maxBatch {
		return fmt.Errorf("commit %d bytes, %d are permitted: %w", bytes, maxBatch, engine.ErrScope)
	}
	if grows && !(b.Relaxed && shrinks) { // what moves dead letters needs no room
		return c.e.space.check()
	}
	return nil
}

// room returns about how many bytes an Append or Retain adds.
func room(op *engine.Op) (int, error) {
	if op.Kind == engine.Append && len(op.Logs) == 0 || op.Kind == engine.Retain && op.Msg == nil {
		return 0, nil
	}
	if op.Msg == nil {
		return 0, fmt.Errorf("append nothing: %w", engine.ErrScope)
	}
	n := len(op.Msg.Body) + len(op.Msg.Header)
	if n > maxBody {
		return 0, fmt.Errorf("a message of %d bytes, %d are permitted: %w", n, maxBody, engine.ErrScope)
	}
	return recordOverhead*max(len(op.Logs), 1) + n, nil
}

func verb(k engine.OpKind) string {
	if k == engine.Delete {
		return "delete"
	}
	return "put"
}
