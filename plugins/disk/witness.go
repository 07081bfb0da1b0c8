package disk

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// witnessGap is how often at most the format file is written while the store is open.
const witnessGap = time.Second

// witness notes in the format file what the manifest is known to hold. Pebble takes the first byte of a manifest that
// is not right for its end, and would go on with the tables of a while ago.
type witness struct {
	s    *store
	kick chan struct{} // of size 1: there is something new
	stop chan struct{}
	done sync.WaitGroup
	fail func(error)
}

func startWitness(s *store, fail func(error)) *witness {
	w := &witness{s: s, kick: make(chan struct{}, 1), stop: make(chan struct{}), fail: fail}
	w.done.Go(w.run)
	w.changed()
	return w
}

// changed is called after the manifest has grown.
func (w *witness) changed() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *witness) close() {
	close(w.stop)
	w.done.Wait()
}

func (w *witness) run() {
	for {
		select {
		case <-w.stop:
			return
		case <-w.kick:
		}
		if err := w.s.writeFormat(saysOpen, w.s.manifest); err != nil {
			w.fail(fmt.Errorf("write: %w", err))
			return
		}
		select {
		case <-w.stop:
			return
		case <-time.After(witnessGap):
		}
	}
}

// manifest returns the line for an open store: how the manifest begins. It is synced before, so that a power loss
// cannot make it shorter than what is noted.
func (s *store) manifest() ([]string, error) {
	name, err := s.manifestName()
	if err != nil || name == "" {
		return nil, err
	}
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // there is a new one
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	sum, err := s.sum(name, info.Size())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return []string{fmt.Sprintf("%s %d %s", name, info.Size(), sum)}, err
}

// manifestName returns the manifest in use, or "".
func (s *store) manifestName() (string, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return "", err
	}
	last, found := -1, ""
	for _, n := range names { // marker.manifest.000001.MANIFEST-000001
		rest, ok := strings.CutPrefix(n, "marker.manifest.")
		number, name, named := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(number); ok && named && err == nil && i > last {
			last, found = i, name
		}
	}
	return found, nil
}

// checkManifest compares the manifest of a store that was not closed with what was noted of it.
func (s *store) checkManifest(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	name, text, _ := strings.Cut(lines[0], " ")
	text, sum, ok := strings.Cut(text, " ")
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !ok {
		return fmt.Errorf("%s is damaged: it has a line %q", fileFormat, lines[0])
	}
	if used, err := s.manifestName(); err != nil || used != name {
		return err // a new one was begun after that
	}
	is, err := s.sum(name, size)
	if err != nil {
		return fmt.Errorf("%s is not whole: %w", name, err)
	}
	if is != sum {
		return fmt.Errorf("%s is damaged: its first %d bytes are not as they were, restore the store from a copy", name, size)
	}
	return nil
}
