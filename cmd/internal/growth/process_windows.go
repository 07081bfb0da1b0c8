package growth

import (
	"syscall"
	"time"
)

// cpuTime is that of the process, in user and system mode.
func cpuTime() time.Duration {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0
	}
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(self, &created, &exited, &kernel, &user); err != nil {
		return 0
	}
	return ticks(kernel) + ticks(user)
}

// ticks reads a span of time, which is in units of 100 ns. (Filetime.Nanoseconds is for points in time.)
func ticks(t syscall.Filetime) time.Duration {
	return time.Duration(uint64(t.HighDateTime)<<32|uint64(t.LowDateTime)) * 100
}

// files returns how many files may be open: nothing but memory bounds sockets here.
func files(uint64) int { return 1 << 20 }
