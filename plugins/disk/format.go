package disk

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The format file has a line that says how the store is written, and one that says whether it is open or, with the
// files and their sizes below, closed:
//
//	wye store, format 1
//	closed
//	000004.log 0
//	MANIFEST-000001 285 1f00d2b7
//	sum 55fa6a80
//
// An open store has only its manifest there, with how long it is at least. Tables have checksums inside, and the log of a closed store is empty; what else there is has one here, as damage to
// it could look to Pebble like the end of the file.
const (
	formatHead = "wye store, format "
	saysOpen   = "open"
	saysClosed = "closed"
	formatSum  = "sum "
)

// checkFormat refuses what is no store, one of another version, and half of one.
func (s *store) checkFormat() error {
	text, err := s.read(fileFormat)
	if errors.Is(err, os.ErrNotExist) {
		return s.checkNew()
	}
	if err != nil {
		return err
	}
	head, _, _ := strings.Cut(text, "\n")
	version, ok := strings.CutPrefix(head, formatHead)
	if !ok {
		return fmt.Errorf("%s is damaged: it begins with %q", fileFormat, head)
	}
	if version != strconv.Itoa(formatVersion) {
		return fmt.Errorf("the store has format %s, this version of wye knows format %d only", version, formatVersion)
	}
	text, sum, _ := cutLast(text, formatSum)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	switch {
	case strings.TrimSpace(sum) != checksum(text) || len(lines) < 2:
		return fmt.Errorf("%s is damaged", fileFormat)
	case lines[1] == saysClosed:
		return s.checkInventory(lines[2:])
	case lines[1] == saysOpen:
		return s.checkOpen(lines[2:])
	default:
		return fmt.Errorf("%s is damaged: it says %q", fileFormat, lines[1])
	}
}

// cutLast is strings.Cut at the last place.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// checkOpen looks at a store whose process has not closed it.
func (s *store) checkOpen(lines []string) error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	begun := slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "marker.manifest") })
	if begun && !slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, ".log") }) {
		return errors.New("the store was not closed, and its log files are missing: is it half of a copy?")
	}
	if err := s.checkManifest(lines); err != nil {
		return err
	}
	return s.checkLogs()
}

// checkNew refuses a directory that has files, but not ours.
func (s *store) checkNew() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n, "MANIFEST") || strings.HasPrefix(n, "marker.") || strings.HasSuffix(n, ".sst") {
			return fmt.Errorf("there is %s, but no %s: it is half of a copy, or the store of another program", n, fileFormat)
		}
	}
	return nil
}

// checkInventory compares the files with those that were there when the store was closed.
func (s *store) checkInventory(lines []string) error {
	var errs []error
	for _, line := range lines {
		name, text, _ := strings.Cut(line, " ")
		text, sum, summed := strings.Cut(text, " ")
		want, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%s is damaged: it has a line %q", fileFormat, line)
		}
		info, err := s.fs.Stat(s.fs.PathJoin(s.dir, name))
		switch {
		case errors.Is(err, os.ErrNotExist):
			errs = append(errs, fmt.Errorf("%s is missing", name))
		case err != nil:
			errs = append(errs, err)
		case info.Size() != want:
			errs = append(errs, fmt.Errorf("%s has %d bytes, it had %d when the store was closed", name, info.Size(), want))
		case summed:
			if is, err := s.sum(name, want); err != nil || is != sum {
				errs = append(errs, errors.Join(fmt.Errorf("%s is not as it was when the store was closed", name), err))
			}
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("the store is not as it was closed, is it half of a copy? %w", errors.Join(errs...))
	}
	return nil
}

// inventory lists the files of a store that is closed.
func (s *store) inventory() ([]string, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var lines []string
	for _, n := range names {
		if n == "LOCK" || strings.HasPrefix(n, "wye.") {
			continue
		}
		info, err := s.fs.Stat(s.fs.PathJoin(s.dir, n))
		if err != nil {
			return nil, err
		}
		line := fmt.Sprintf("%s %d", n, info.Size())
		if strings.HasPrefix(n, "MANIFEST-") || strings.HasPrefix(n, "OPTIONS-") {
			sum, err := s.sum(n, info.Size())
			if err != nil {
				return nil, err
			}
			line += " " + sum
		}
		if !info.IsDir() {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// sum returns the checksum of the first bytes of a file.
func (s *store) sum(name string, size int64) (string, error) {
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, name))
	if err != nil {
		return "", err
	}
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(h, io.LimitReader(f, size))
	if err = errors.Join(err, f.Close()); err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Sprintf("%08x", h.Sum32()), err
}

// writeFormat says that the store is open or closed, and what is known of its files.
func (s *store) writeFormat(state string, known func() ([]string, error)) error {
	files, err := known()
	if err != nil {
		return err
	}
	text := strings.Join(append([]string{formatHead + strconv.Itoa(formatVersion), state}, files...), "\n") + "\n"
	return s.write(fileFormat, text+formatSum+checksum(text)+"\n")
}

func checksum(text string) string {
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}
