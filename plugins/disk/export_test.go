package disk

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// OpenOn is Open on a file system, with changes to how Pebble is run.
func OpenOn(cfg Config, log *slog.Logger, fs vfs.FS, tune func(*pebble.Options)) (*Engine, error) {
	return openOn(cfg, log, fs, tune)
}

// Witness notes how the manifest is.
func Witness(e *Engine) error { return e.store.writeFormat(saysOpen, e.store.manifest) }
