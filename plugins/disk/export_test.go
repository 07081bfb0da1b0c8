package disk

import (
	"encoding/binary"
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// OpenOn is Open on a file system, with changes to how Pebble is run.
func OpenOn(cfg Config, log *slog.Logger, fs vfs.FS, tune func(*pebble.Options)) (*Engine, error) {
	return openOn(cfg, log, fs, tune)
}

// TrimOften makes the store be told of little that is settled.
func TrimOften(e *Engine) { e.trims = trimRule{bytes: 40, last: 20, records: 2} }

// Witness notes how the manifest is.
func Witness(e *Engine) error { return e.store.writeFormat(saysOpen, e.store.manifest) }

// Bodies returns how many bodies are stored that logs share.
func Bodies(e *Engine) (n int, err error) {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindBody}, UpperBound: []byte{kindRefs + 1}})
	if err != nil {
		return 0, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if n%2 != 0 {
		err = errors.New("there is a body without a count, or the other way round")
	}
	return n / 2, errors.Join(err, it.Close())
}

// ForgetBytes leaves the count of what is retained as earlier versions have stored it.
func ForgetBytes(e *Engine) error {
	topics, _ := e.Retained().Size()
	return e.db.Set([]byte{kindCounter, 'r'}, binary.AppendVarint(nil, int64(topics)), pebble.Sync)
}
