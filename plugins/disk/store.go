package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The files of the directory that are not Pebble's.
const (
	fileFormat = "wye.store" // says that this is a store of wye, how it is written, and whether it was closed
	filePID    = "wye.pid"   // who has it open
)

// formatVersion is how keys and values are written. A store that says something else is not opened.
const formatVersion = 1

// store is the directory while it is open.
type store struct {
	fs   vfs.FS
	dir  string
	lock *pebble.Lock
	db   *pebble.DB

	mu      sync.Mutex // of what follows
	witness *witness
}

// openStore sets e.store: it locks the directory, looks whether it is fit, and opens what is in it.
func openStore(e *Engine, tune func(*pebble.Options)) error {
	s := &store{fs: e.fs, dir: e.cfg.Dir}
	e.store = s
	if err := s.fs.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the store: %w", err)
	}
	var err error
	if s.lock, err = pebble.LockDirectory(s.dir, s.fs); err != nil {
		return s.lockError(err)
	}
	if err := s.open(e, tune); err != nil {
		return errors.Join(err, s.lock.Close())
	}
	return nil
}

func (s *store) open(e *Engine, tune func(*pebble.Options)) error {
	if err := s.write(filePID, strconv.Itoa(os.Getpid())+"\n"); err != nil {
		return fmt.Errorf("write to %s: %w", s.dir, err)
	}
	if err := s.checkFormat(); err != nil {
		return fmt.Errorf("open %s: %w", s.dir, err)
	}
	if err := s.writeFormat(saysOpen, s.manifest); err != nil {
		return fmt.Errorf("write to %s: %w", s.dir, err)
	}
	o := e.options(s.lock)
	if tune != nil {
		tune(o)
	}
	var err error
	if s.db, err = pebble.Open(s.dir, o); err != nil {
		return fmt.Errorf("open %s: %w", s.dir, explain(err))
	}
	w := startWitness(s, e.fail)
	s.mu.Lock()
	s.witness = w
	s.mu.Unlock()
	return nil
}

// changed is told that the manifest has grown.
func (s *store) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.witness != nil {
		s.witness.changed()
	}
}

// lockError says who has the directory.
func (s *store) lockError(err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok { // the file cannot be made
		return fmt.Errorf("lock %s: %w", s.dir, err)
	}
	if pid, readErr := s.read(filePID); readErr == nil {
		return fmt.Errorf("%s is in use by process %s: %w", s.dir, strings.TrimSpace(pid), err)
	}
	return fmt.Errorf("%s is in use by another process, or cannot be locked: %w", s.dir, err)
}

// options are how Pebble is run: see the package comment.
func (e *Engine) options(lock *pebble.Lock) *pebble.Options {
	o := &pebble.Options{
		FS: e.fs, Lock: lock, Logger: logger{e}, EventListener: e.listener(),
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   32 << 20,
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               64 << 20,
		BytesPerSync:                1 << 20,
		MaxOpenFiles:                512,
		FlushDelayDeleteRange:       time.Second,
		CompactionConcurrencyRange:  func() (int, int) { return 1, max(2, runtime.GOMAXPROCS(0)/2) },
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].BlockSize = 32 << 10
	}
	o.TargetFileSizes[0] = 4 << 20
	return o
}

// close ends the store. A clean one is remembered with what is in the directory, so that half of a copy is found out.
func (s *store) close(clean bool) error {
	var errs []error
	s.witness.close()
	if clean { // so that nothing is in the write-ahead log only
		errs = append(errs, s.db.Flush())
	}
	errs = append(errs, s.db.Close())
	if clean && errors.Join(errs...) == nil {
		errs = append(errs, s.writeFormat(saysClosed, s.inventory))
	}
	errs = append(errs, s.lock.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close %s: %w", s.dir, err)
	}
	return nil
}

// leave ends what is beside Pebble; the lock stays until the process ends.
func (s *store) leave() { s.witness.close() }

// write replaces a file.
func (s *store) write(name, text string) error {
	path := s.fs.PathJoin(s.dir, name)
	f, err := s.fs.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.fs.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := s.fs.OpenDir(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *store) read(name string) (string, error) {
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, name))
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, 16<<20))
	return string(b), errors.Join(err, f.Close())
}
