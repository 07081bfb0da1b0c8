package hostile

import (
	"bufio"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long is waited for what must come.
const patience = 30 * time.Second

// broker is the process that is put to the test.
type broker struct {
	cmd   *exec.Cmd
	addrs map[string]string // by listener; "admin" is among them
	down  chan struct{}     // closed when it has ended
	err   error             // why; to be read when down is closed
}

// public is the configuration of a broker that anybody may reach, beside the budget.
const public = `
limits:
  subscriptions: 1000
  private_queues: 100
  selectors: 1000
  selectors_in_all: 10000
  outbox_messages: 1024
  outbox_bytes: 1MiB
  publish_rate: 20
  publish_bytes: 32KiB
  user_publish_rate: 100
  user_publish_bytes: 128KiB
  user_durable_queues: 20
  queues: 20000
  refusal_rate: 5
  transaction_bytes: 1MiB
  session_expiry: 1m
  session_queue: 10000
  session_queue_bytes: 2MiB
  retained_messages: 10000
  kept_sessions: 20000
listeners:
  websocket: { uri: "ws://127.0.0.1:0", compression: true, max_message_size: 1MiB, write_timeout: 5s, max_connections_per_address: 200, max_connection_rate_per_address: 100 }
  stomp: { uri: "tcp://127.0.0.1:0", write_timeout: 5s, max_connections_per_address: 200, max_connection_rate_per_address: 100 }
  mqtt: { uri: "tcp://127.0.0.1:0", write_timeout: 5s, max_connections_per_address: 200, max_connection_rate_per_address: 100 }
protocols:
  stomp: { max_body: 1MiB }
  mqtt: { max_packet_size: 1MiB, max_session_expiry: 1m }
queues:
  - { match: "#", max_length: 10000, max_bytes: 16MiB }
admin: { listen: "127.0.0.1:0", pprof: true }
auth:
  anonymous: "true"
  acl: { rules: [{ allow: [all], on: ["#"] }] }
`

// known is the one user there is, so that passwords are looked at.
const known = "somebody"

// start runs the broker in dir until it is ready.
func start(ctx context.Context, program, dir string, budget int64, args []string) (*broker, error) {
	file, users := filepath.Join(dir, "wye.yaml"), filepath.Join(dir, "users")
	salt := "twelve bytes"
	sum := sha512.Sum512([]byte("secret" + salt))
	hash := "$6$" + base64.StdEncoding.EncodeToString([]byte(salt)) + "$" + base64.StdEncoding.EncodeToString(sum[:])
	err := errors.Join(os.WriteFile(file, []byte(public), 0o600), os.WriteFile(users, []byte(known+":"+hash+"\n"), 0o600))
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "wye.log")) //nolint:gosec // whoever runs this names the directory
	if err != nil {
		return nil, err
	}
	all := append([]string{
		"--config", file, "--set", "auth.users.file=" + users, "--set", "limits.memory=" + strconv.FormatInt(budget, 10),
	}, args...)
	b := &broker{addrs: make(map[string]string), down: make(chan struct{})}
	b.cmd = exec.Command(program, all...) //nolint:gosec,noctx // what is to be tested; it is ended by hand
	stderr, err := b.cmd.StderrPipe()
	if err == nil {
		err = b.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	ready := make(chan struct{})
	go b.watch(stderr, log, ready) // until down is closed
	select {
	case <-ready:
		return b, nil
	case <-b.down:
		return nil, fmt.Errorf("the broker has ended before it was ready: %w", b.err)
	case <-time.After(patience):
		err = errors.New("the broker is not ready")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, b.stop())
}

var listening = regexp.MustCompile(`msg=listening listener=(\S+) .*?(?:address|uri)=\w+://(\S+)`)

// watch reads what the process logs until it has ended.
func (b *broker) watch(stderr io.Reader, log io.WriteCloser, ready chan<- struct{}) {
	up := sync.OnceFunc(func() { close(ready) })
	s := bufio.NewScanner(stderr)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		_, _ = fmt.Fprintln(log, s.Text())
		if m := listening.FindStringSubmatch(s.Text()); m != nil {
			b.addrs[m[1]] = m[2]
		}
		if strings.Contains(s.Text(), "msg=ready") {
			up()
		}
	}
	_, _ = io.Copy(log, stderr)
	b.err = errors.Join(b.cmd.Wait(), log.Close())
	close(b.down)
}

// stop ends the process in order, and returns how it has ended.
func (b *broker) stop() error {
	_ = b.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-b.down:
		return b.err
	case <-time.After(2 * patience):
		_ = b.cmd.Process.Kill()
		<-b.down
		return errors.New("the broker did not stop")
	}
}

// resident is how much memory the process has.
func (b *broker) resident() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

var series = regexp.MustCompile(`(?m)^(wye_\w+(?:\{[^}]*\})?) (\S+)$`)

// metrics asks the broker for its numbers, by series.
func (b *broker) metrics(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.addrs["admin"]+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	all := make(map[string]float64)
	for _, m := range series.FindAllStringSubmatch(string(text), -1) {
		all[m[1]], _ = strconv.ParseFloat(m[2], 64)
	}
	return all, nil
}
