package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// Flags are the options that every command has which speaks to a broker.
type Flags struct {
	stomp, mqtt, mqtt5        bool
	user, password, passFile  string
	vhost, subprotocol        string
	caFile, certFile, keyFile string
	insecure                  bool
	http                      http.Header
	timeout                   time.Duration

	// KeepAlive and Header are for Login. What KeepAlive is before Register is its default.
	KeepAlive time.Duration
	Header    []Header
}

// FlagUsage describes them.
const FlagUsage = `connection
  --stomp, --mqtt, --mqtt5   what to speak where the URL does not say it: STOMP, MQTT 3.1.1, MQTT 5
  -u, --user name            user; a URL may have user and password too
  -P, --password word        password; --password-file reads it from a file
  --vhost name               host of STOMP, prefix of the user of MQTT
  --subprotocol token        of the WebSocket, instead of v12.stomp,v11.stomp,v10.stomp or mqtt
  --http-header 'a: b'       more headers of the WebSocket's request, as in 'Origin: https://example.com'
  --connect-header a:b       more headers of CONNECT: STOMP headers, or user properties of MQTT 5
  --keep-alive 30s           heart-beat of STOMP, keep-alive of MQTT; 0, as in bench: none
  --timeout 10s              how long to wait for the broker to let us in and to answer
  --ca-file, --cert-file, --key-file, --insecure   TLS: who to trust, who we are, trust anybody; also --ca, --cert, --key
`

// Register adds them to fs.
func (f *Flags) Register(fs *flag.FlagSet) {
	fs.BoolVar(&f.stomp, "stomp", false, "")
	fs.BoolVar(&f.mqtt, "mqtt", false, "")
	fs.BoolVar(&f.mqtt5, "mqtt5", false, "")
	for _, name := range []string{"u", "user"} {
		fs.StringVar(&f.user, name, "", "")
	}
	for _, name := range []string{"P", "password"} {
		fs.StringVar(&f.password, name, "", "")
	}
	fs.StringVar(&f.passFile, "password-file", "", "")
	fs.StringVar(&f.vhost, "vhost", "", "")
	fs.StringVar(&f.subprotocol, "subprotocol", "", "")
	for _, of := range []struct {
		to    *string
		names []string // the second and third are those of other programs
	}{{&f.caFile, []string{"ca-file", "ca", "cafile"}}, {&f.certFile, []string{"cert-file", "cert"}}, {&f.keyFile, []string{"key-file", "key"}}} {
		for _, name := range of.names {
			fs.StringVar(of.to, name, "", "")
		}
	}
	fs.BoolVar(&f.insecure, "insecure", false, "")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "")
	fs.DurationVar(&f.KeepAlive, "keep-alive", f.KeepAlive, "")
	HeaderVar(fs, &f.Header, "connect-header")
	f.http = make(http.Header)
	fs.Func("http-header", "", func(s string) error {
		h, err := parseHeader(s)
		f.http.Add(h.Name, h.Value)
		return err
	})
}

// HeaderVar adds a flag that may be repeated, of the form name:value or name=value.
func HeaderVar(fs *flag.FlagSet, to *[]Header, name string) {
	fs.Func(name, "", func(s string) error {
		h, err := parseHeader(s)
		*to = append(*to, h)
		return err
	})
}

func parseHeader(s string) (Header, error) {
	at := strings.IndexAny(s, ":=")
	if at < 1 {
		return Header{}, errors.New("must be name:value")
	}
	return Header{strings.TrimSpace(s[:at]), strings.TrimSpace(s[at+1:])}, nil
}

// Spoken is the protocol that the flags name, "" for none.
func (f *Flags) Spoken() (Protocol, error) {
	var all []Protocol
	for _, p := range []struct {
		set bool
		is  Protocol
	}{{f.stomp, STOMP}, {f.mqtt, MQTT}, {f.mqtt5, MQTT5}} {
		if p.set {
			all = append(all, p.is)
		}
	}
	switch len(all) {
	case 0:
		return "", nil
	case 1:
		return all[0], nil
	default:
		return "", errors.New("only one of --stomp, --mqtt and --mqtt5 can be spoken")
	}
}

// Target parses the URL and adds what the flags say.
func (f *Flags) Target(url string, spoken Protocol) (Target, error) {
	t, err := Parse(url, spoken)
	if err != nil {
		return Target{}, err
	}
	if f.user != "" {
		t.User = f.user
	}
	if f.passFile != "" {
		b, err := os.ReadFile(f.passFile)
		if err != nil {
			return Target{}, err
		}
		t.Password = strings.TrimRight(string(b), "\r\n")
	}
	if f.password != "" {
		t.Password = f.password
	}
	t.VHost, t.Subprotocol, t.HTTPHeader, t.Timeout = f.vhost, f.subprotocol, f.http, f.timeout
	if t.TLS != nil {
		err = f.secure(t.TLS)
	}
	return t, err
}

func (f *Flags) secure(c *tls.Config) error {
	c.InsecureSkipVerify = f.insecure
	if f.caFile != "" {
		pem, err := os.ReadFile(f.caFile)
		if err != nil {
			return err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no certificate", f.caFile)
		}
	}
	if f.certFile != "" || f.keyFile != "" {
		pair, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
		if err != nil {
			return err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// ParseArgs reads flags and words in any order and returns the words. What follows -- is words.
func ParseArgs(fs *flag.FlagSet, args []string) (words []string, err error) {
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		rest := fs.Args()
		if len(rest) > 0 && len(args) > len(rest) && args[len(args)-len(rest)-1] == "--" {
			return append(words, rest...), nil
		}
		args = rest
		if len(args) > 0 {
			words = append(words, args[0])
			args = args[1:]
		}
	}
	return words, nil
}
