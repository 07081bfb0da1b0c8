//go:build unix

package growth

import (
	"syscall"
	"time"
)

// cpuTime is that of the process, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// files raises the number of files that may be open and returns how many there may be.
func files(want uint64) int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	if r.Cur < want {
		more := syscall.Rlimit{Cur: want, Max: max(want, r.Max)}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) != nil { // not root: what is permitted
			more = syscall.Rlimit{Cur: r.Max, Max: r.Max}
			if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) != nil {
				more = r
			}
		}
		r = more
	}
	return int(min(r.Cur, 1<<30))
}
