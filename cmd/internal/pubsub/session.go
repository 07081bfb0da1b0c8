package pubsub

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wyemq/wye/cmd/internal/cli"
	"github.com/wyemq/wye/cmd/internal/peer"
)

// session is the options that both commands have.
type session struct {
	flags  peer.Flags
	target peer.Target
	id     string
	topics []string
	qos    int
	header []peer.Header
	json   bool
}

func (s *session) register(fs *flag.FlagSet) {
	fs.SetOutput(io.Discard)
	s.flags.KeepAlive = 30 * time.Second
	s.flags.Register(fs)
	for _, name := range []string{"t", "topic", "destination"} {
		fs.Func(name, "", func(t string) error {
			s.topics = append(s.topics, t)
			return nil
		})
	}
	fs.IntVar(&s.qos, "q", 0, "")
	fs.IntVar(&s.qos, "qos", 0, "")
	fs.StringVar(&s.id, "i", "", "")
	fs.StringVar(&s.id, "id", "", "")
	peer.HeaderVar(fs, &s.header, "H")
	peer.HeaderVar(fs, &s.header, "header")
	fs.BoolVar(&s.json, "json", false, "")
}

// parse reads the arguments and checks what both commands have in common.
func (s *session) parse(fs *flag.FlagSet, args []string) error {
	words, err := peer.ParseArgs(fs, args)
	if err != nil {
		return err
	}
	if len(words) > 1 {
		return fmt.Errorf("%q is one url too many", words[1])
	}
	if len(s.topics) == 0 {
		return errors.New("where to? -t says it, as in -t /topic/prices for STOMP or -t prices for MQTT")
	}
	if s.qos < 0 || s.qos > 2 {
		return fmt.Errorf("--qos must be 0, 1 or 2, is %d", s.qos)
	}
	url := peer.DefaultURL
	if len(words) == 1 {
		url = words[0]
	}
	spoken, err := s.flags.Spoken()
	if err != nil {
		return err
	}
	s.target, err = s.flags.Target(url, spoken)
	return err
}

// login is that of the command; kept sessions need an id.
func (s *session) login(clean bool, expiry time.Duration) peer.Login {
	return peer.Login{ClientID: s.id, Clean: clean, Expiry: expiry, KeepAlive: s.flags.KeepAlive, Header: s.flags.Header}
}

// newCommand returns the command called name.
func newCommand(name, usage string, stdout, stderr io.Writer) cli.Command {
	return cli.Command{Name: "wye " + name, Usage: usage, Help: "wye " + name + " --help", Stdout: stdout, Stderr: stderr}
}

// isTopic says whether a STOMP destination is that of a topic, by the name that most brokers give it.
func isTopic(destination string) bool {
	return strings.HasPrefix(strings.TrimPrefix(destination, "/"), "topic/")
}

// beatIf sends signs of life if any are promised.
func beatIf(ctx context.Context, keepAlive time.Duration, c *peer.Conn) {
	if keepAlive > 0 {
		peer.Beat(ctx, keepAlive, c)
	}
}
