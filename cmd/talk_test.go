package wyecmd_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/engine/memory"
	"github.com/wyemq/wye/plugins/acl"
	"github.com/wyemq/wye/plugins/users"
	"github.com/wyemq/wye/protocols/stomp"
)

// talks is a broker that whole conversations are held with: FuzzSTOMPTalk and FuzzMQTTTalk. There is one for each process, so
// that what one conversation breaks the next ones see.
type talks struct {
	running // closes after each ERROR of STOMP

	lenient running // the same broker; after an ERROR that permits it the conversation goes on
	log     alarm
	n       atomic.Int64 // conversations
	stomp   *stompWitness
	mqtt    *mqttWitness

	mu    sync.Mutex
	taken map[string]int // steps of all conversations
}

// talkRules let mal have one topic of each conversation, and no more.
func talkRules() []acl.Rule {
	return []acl.Rule{
		{ID: "good", Allow: []string{"all"}, On: []string{"#"}, Users: []string{"talk", "witness"}},
		{ID: "open", Allow: []string{"publish", "subscribe"}, On: []string{"topic/+/open"}, Users: []string{"mal"}},
	}
}

func talkPassword(user string) string { return "password of " + user }

// talkUsers writes a file with users whose passwords cost nothing to check.
func talkUsers(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, user := range []string{"talk", "mal", "witness"} {
		sum := sha256.Sum256([]byte("salt" + talkPassword(user)))
		b.WriteString(user + ":$rabbit-sha256$" + base64.RawStdEncoding.EncodeToString(append([]byte("salt"), sum[:]...)) + ":\n")
	}
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// openTalks runs a broker for the length of t.
func openTalks(t testing.TB) *talks {
	t.Helper()
	k := &talks{taken: make(map[string]int)}
	log := slog.New(&k.log)
	u, err := users.New(users.Config{File: talkUsers(t)}, log)
	if err != nil {
		t.Fatal(err)
	}
	a, err := acl.New(acl.Config{Rules: talkRules()}, u.Enabled, log)
	if err != nil {
		t.Fatal(err)
	}
	limits := core.DefaultLimits()
	limits.LoginDelay = 0 // all come from one address
	h := newHouse(t, core.Options{
		Engine: memory.New(), Version: "test", Log: log, Limits: limits, Anonymous: core.AnonymousNever,
		Authenticators: []core.Authenticator{u}, Authorizers: []core.Authorizer{a},
	})
	sc := stomp.DefaultConfig()
	sc.HeartBeat.Send, sc.HeartBeat.Receive, sc.HeartBeat.Floor = 20*time.Millisecond, 20*time.Millisecond, 60*time.Millisecond
	k.running = h.open(t, sc)
	sc.CloseOnError = false
	k.lenient = h.open(t, sc)
	k.stomp, k.mqtt = newStompWitness(t, hostOf(k.running.stomp)), newMQTTWitness(t, hostOf(k.running.mqtt))
	return k
}

// took counts a step.
func (k *talks) took(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.taken[name]++
}

// missing returns which of the steps were never taken.
func (k *talks) missing(names []string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(names, func(name string) bool { return k.taken[name] > 0 })
}

// alarm is a log that keeps what must never be in it.
type alarm struct {
	mu   sync.Mutex
	last string
}

func (*alarm) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (a *alarm) WithAttrs([]slog.Attr) slog.Handler         { return a }
func (a *alarm) WithGroup(string) slog.Handler              { return a }

// Handle keeps panics and internal errors, which are all that is above information here.
func (a *alarm) Handle(_ context.Context, r slog.Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = r.Message
	r.Attrs(func(at slog.Attr) bool {
		a.last += " " + at.String()
		return true
	})
	return nil
}

// fuzz holds the conversations of f: those of the seeds, which must take all steps of these names, and others.
func (k *talks) fuzz(f *testing.F, seeds [][]byte, names []string, talk func(t *testing.T) func(id string, s *script)) {
	f.Helper()
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) { k.hold(t, data, talk(t)) })
	if k.n.Load() < int64(len(seeds)) {
		return // not all were asked for
	}
	if missing := k.missing(names); len(missing) > 0 {
		f.Errorf("no seed takes the steps %q", missing)
	}
}

// hold holds one conversation while the witnesses talk, and wants nothing to be left of it.
func (k *talks) hold(t *testing.T, script []byte, talk func(id string, s *script)) {
	t.Helper()
	stop := make(chan struct{})
	var work sync.WaitGroup
	for _, w := range []interface{ round() error }{k.stomp, k.mqtt} {
		work.Go(func() {
			for rounds := 0; ; rounds++ {
				select {
				case <-stop:
					if rounds > 1 { // one whole round has begun after the conversation
						return
					}
				default:
				}
				if err := w.round(); err != nil {
					t.Errorf("a client that does nothing wrong: %v", err)
					return
				}
			}
		})
	}
	func() { // whose end may be that of the test
		defer work.Wait()
		defer close(stop)
		talk("talk"+strconv.FormatInt(k.n.Add(1), 10), newScript(script))
	}()
	const witnesses = 2
	for end := time.Now().Add(patience); k.broker.Stats().Sessions != witnesses; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d sessions, want those of the %d witnesses", k.broker.Stats().Sessions, witnesses)
		}
	}
	k.log.mu.Lock()
	defer k.log.mu.Unlock()
	if k.log.last != "" {
		t.Errorf("in the log: %s", k.log.last)
	}
}

// script decides what is said next.
type script struct {
	data []byte
	now  []byte // what is left of a step
	left int
}

// longestTalk is how many steps a conversation has at most, and talkStep how many bytes of the script each of them is: what, and
// the choices in it. So one that changes does not change the others.
const (
	longestTalk = 110
	talkStep    = 6
)

func newScript(data []byte) *script { return &script{data: data, left: longestTalk} }

// step returns a number below n; false when the conversation is over.
func (s *script) step(n int) (int, bool) {
	if s.left--; s.left < 0 || len(s.data) == 0 {
		return 0, false
	}
	s.now = s.data[:min(talkStep, len(s.data))]
	s.data = s.data[len(s.now):]
	return s.pick(n), true
}

// pick is a choice within a step; 0 at its end.
func (s *script) pick(n int) int {
	if len(s.now) == 0 {
		return 0
	}
	b := s.now[0]
	s.now = s.now[1:]
	return int(b) % n
}

// rest returns what nothing was made of yet.
func (s *script) rest() string {
	rest := string(s.now) + string(s.data)
	s.now, s.data = nil, nil
	return rest
}

// talkSeed returns the script of a conversation that begins with the choices of begin and has some steps.
func talkSeed(begin []byte, steps ...[]byte) []byte {
	seed := append(slices.Clone(begin), make([]byte, talkStep-len(begin))...)
	for _, step := range steps {
		seed = append(append(seed, step...), make([]byte, talkStep-len(step))...)
	}
	return seed
}
