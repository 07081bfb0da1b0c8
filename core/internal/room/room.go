package room

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Total returns how many bytes there are for this process, and what says so; 0: not known. root is the file system: that of
// the machine is os.DirFS("/").
func Total(root fs.FS) (total int64, source string) {
	total, source = machine(root), "machine"
	for _, file := range groups(root) {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		// "max", and of version 1 a number of pages that no machine has, mean that there is no limit.
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && limit > 0 && (total == 0 || limit < total) {
			total, source = limit, "cgroup"
		}
	}
	return total, source
}

// machine reads /proc/meminfo.
func machine(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 53)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// Resident returns how much memory the process has at the moment; 0: not known.
func Resident(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(f[1], 10, 48)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// groups lists the files that may limit the process: of its own group, and of all above it. Inside of a container the path
// of the group is that of the host, and what counts is at the top of what is mounted: so that is always among them.
func groups(root fs.FS) []string {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	var files []string
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		mount, file := "", ""
		switch {
		case f[0] == "0" && f[1] == "":
			mount, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+f[1]+",", ",memory,"):
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := path.Join("/", f[2]); ; group = path.Dir(group) {
			files = append(files, path.Join(mount, group, file))
			if group == "/" {
				break
			}
		}
	}
	return files
}
