package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what processes have used.
type usage struct {
	cpu   float64 // seconds
	rss   int64   // bytes
	known bool
}

// meter reads the usage of processes, from /proc or from the metrics of one.
type meter struct {
	pids []int
	url  string
}

// hertz is the unit of times in /proc/<pid>/stat: Linux has it fixed for programs at 100.
const hertz = 100

// scrapeTimeout bounds a request for metrics.
const scrapeTimeout = 5 * time.Second

// read returns the usage, not known when there is nothing to read it from.
func (m *meter) read() usage {
	u, err := m.try()
	u.known = err == nil
	return u
}

// check says why the usage cannot be read, if anybody has asked for it.
func (m *meter) check() error {
	if len(m.pids) == 0 && m.url == "" {
		return nil
	}
	_, err := m.try()
	return err
}

func (m *meter) try() (usage, error) {
	if m.url != "" {
		return scrape(m.url)
	}
	if len(m.pids) == 0 {
		return usage{}, errors.New("no process")
	}
	var sum usage
	for _, pid := range m.pids {
		u, err := process(pid)
		if err != nil {
			return sum, err
		}
		sum.cpu += u.cpu
		sum.rss += u.rss
	}
	return sum, nil
}

// process reads /proc. See proc_pid_stat(5): utime, stime and rss are the fields 14, 15 and 24.
func process(pid int) (usage, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("process %d: %w", pid, err)
	}
	_, rest, ok := strings.Cut(string(b[max(0, bytes.LastIndexByte(b, ')')):]), " ") // the name may hold anything
	fields := strings.Fields(rest)
	if !ok || len(fields) < 22 {
		return usage{}, fmt.Errorf("process %d: /proc has not what was expected", pid)
	}
	var n [3]int64
	for i, field := range []string{fields[11], fields[12], fields[21]} {
		if n[i], err = strconv.ParseInt(field, 10, 64); err != nil {
			return usage{}, fmt.Errorf("process %d: %w", pid, err)
		}
	}
	return usage{cpu: float64(n[0]+n[1]) / hertz, rss: n[2] * int64(os.Getpagesize())}, nil
}

// scrape reads the metrics that client libraries of Prometheus have about their process.
func scrape(url string) (usage, error) {
	resp, err := (&http.Client{Timeout: scrapeTimeout}).Get(url)
	if err != nil {
		return usage{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return usage{}, fmt.Errorf("%s: %s", url, resp.Status)
	}
	var u usage
	var cpu, rss bool
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), " ")
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			continue
		}
		name, _, _ = strings.Cut(name, "{")
		switch { // some brokers put their name before that of the metric
		case strings.HasSuffix(name, "process_cpu_seconds_total"):
			u.cpu, cpu = v, true
		case strings.HasSuffix(name, "process_resident_memory_bytes"):
			u.rss, rss = int64(v), true
		}
	}
	if !cpu && !rss {
		return u, fmt.Errorf("%s has neither process_cpu_seconds_total nor process_resident_memory_bytes", url)
	}
	return u, nil
}
