package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// The format of Pebble's log: blocks with chunks, each with a checksum, a length, a type, the number of the file, and
// up to where the file was synced when it was written.
const (
	chunkBlock  = 32 << 10
	chunkHeader = 19
	chunkFirst  = 9 // the types of this format
	chunkLast   = 12
)

// chunkSize returns the size of the chunk at a place in the log with a number, if there is a whole one, which was
// written when all before synced was on disk; else 0.
func chunkSize(b []byte, at int, log uint32, synced uint64) int {
	end := min((at/chunkBlock+1)*chunkBlock, len(b))
	if at+chunkHeader > end {
		return 0
	}
	h := b[at:end]
	if h[6] < chunkFirst || h[6] > chunkLast || binary.LittleEndian.Uint32(h[7:]) != log ||
		binary.LittleEndian.Uint64(h[11:]) < synced {
		return 0
	}
	size := chunkHeader + int(binary.LittleEndian.Uint16(h[4:]))
	if size > len(h) {
		return 0
	}
	sum := crc32.Checksum(h[6:size], crc32.MakeTable(crc32.Castagnoli))
	if binary.LittleEndian.Uint32(h) != (sum>>15|sum<<17)+0xa282ead8 {
		return 0
	}
	return size
}

// damaged looks for a place that cannot be read though it was synced. Pebble does that only as far as the blocks after
// the one it cannot read, and takes the rest for something that was being written.
func damaged(b []byte, log uint32) (at int, ok bool) {
	for at < len(b) {
		if left := chunkBlock - at%chunkBlock; left < chunkHeader {
			at += left
			continue
		}
		size := chunkSize(b, at, log, 0)
		if size == 0 {
			break
		}
		at += size
	}
	for p := at + 1; p+chunkHeader <= len(b); p++ {
		if b[p+6] >= chunkFirst && b[p+6] <= chunkLast && chunkSize(b, p, log, uint64(at)+1) > 0 {
			return at, true
		}
	}
	return 0, false
}

// checkLogs looks at the logs of a store that was not closed.
func (s *store) checkLogs() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		number, ok := strings.CutSuffix(name, ".log")
		n, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil {
			continue
		}
		f, err := s.fs.Open(s.fs.PathJoin(s.dir, name))
		if err != nil {
			return err
		}
		b, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if at, bad := damaged(b, uint32(n)); bad {
			return fmt.Errorf("%s is damaged at %d: what comes after it was synced, restore the store from a copy", name, at)
		}
	}
	return nil
}
