package disk

import (
	"errors"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// namedFS adds the path to errors that come without one, as those of fdatasync do.
type namedFS struct{ vfs.FS }

func named(f vfs.FS) vfs.FS { return namedFS{f} }

// Unwrap implements vfs.FS.
func (n namedFS) Unwrap() vfs.FS { return n.FS }

func (namedFS) file(f vfs.File, path string, err error) (vfs.File, error) {
	if err != nil {
		return nil, name("open", path, err)
	}
	return &namedFile{f, path}, nil
}

// Create implements vfs.FS.
func (n namedFS) Create(path string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := n.FS.Create(path, c)
	return n.file(f, path, err)
}

// OpenReadWrite implements vfs.FS.
func (n namedFS) OpenReadWrite(path string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := n.FS.OpenReadWrite(path, c, o...)
	return n.file(f, path, err)
}

// ReuseForWrite implements vfs.FS.
func (n namedFS) ReuseForWrite(old, path string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := n.FS.ReuseForWrite(old, path, c)
	return n.file(f, path, err)
}

// OpenDir implements vfs.FS.
func (n namedFS) OpenDir(path string) (vfs.File, error) {
	f, err := n.FS.OpenDir(path)
	return n.file(f, path, err)
}

type namedFile struct {
	vfs.File
	path string
}

func name(op, path string, err error) error {
	var known *fs.PathError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// Write implements vfs.File.
func (f *namedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, name("write", f.path, err)
}

// Sync implements vfs.File.
func (f *namedFile) Sync() error { return name("sync", f.path, f.File.Sync()) }

// SyncData implements vfs.File.
func (f *namedFile) SyncData() error { return name("sync", f.path, f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *namedFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, name("sync", f.path, err)
}

// Close implements vfs.File.
func (f *namedFile) Close() error { return name("close", f.path, f.File.Close()) }
