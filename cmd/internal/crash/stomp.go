package crash

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// frame is one of STOMP 1.2.
type frame struct {
	command string
	header  map[string]string
	body    []byte
}

// stomp is a connection that speaks STOMP 1.2.
type stomp struct {
	*socket
	in *bufio.Reader
}

// dialSTOMP connects and logs in.
func dialSTOMP(ctx context.Context, addr, clientID string) (*stomp, error) {
	s, err := dial(ctx, addr, "v12.stomp", opText)
	if err != nil {
		return nil, err
	}
	c := &stomp{socket: s, in: bufio.NewReader(s)}
	if err := c.login(clientID); err != nil {
		s.close()
		return nil, err
	}
	return c, nil
}

func (c *stomp) login(clientID string) error {
	header := []string{"accept-version", "1.2", "host", "/"}
	if clientID != "" {
		header = append(header, "client-id", clientID)
	}
	if err := c.send("CONNECT", nil, header...); err != nil {
		return err
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	f, err := c.read()
	if err != nil {
		return err
	}
	if f.command != "CONNECTED" {
		return &refusal{f}
	}
	return c.nc.SetReadDeadline(time.Time{})
}

// refusal is an ERROR of the broker, or what it says instead of what was expected.
type refusal struct{ frame *frame }

func (e *refusal) Error() string {
	return fmt.Sprintf("the broker says %s %v %.200q", e.frame.command, e.frame.header, e.frame.body)
}

// unescaper undoes what STOMP 1.2 does to header values. What this package sends needs no escaping.
var unescaper = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r", `\c`, ":")

// send writes a frame; the header is names and values by turns.
func (c *stomp) send(command string, body []byte, header ...string) error {
	b := append([]byte(command), '\n')
	for i := 0; i < len(header); i += 2 {
		b = append(append(append(append(b, header[i]...), ':'), header[i+1]...), '\n')
	}
	if body != nil {
		b = append(strconv.AppendInt(append(b, "content-length:"...), int64(len(body)), 10), '\n')
	}
	b = append(append(append(b, '\n'), body...), 0)
	_, err := c.Write(b)
	return err
}

// read reads a frame, heart-beats left out.
func (c *stomp) read() (*frame, error) {
	f := &frame{header: make(map[string]string)}
	for f.command == "" {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		f.command = strings.TrimSuffix(line, "\n")
	}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name = unescaper.Replace(name)
		if _, ok := f.header[name]; !ok {
			f.header[name] = unescaper.Replace(value)
		}
	}
	if text, ok := f.header["content-length"]; ok {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		f.body = make([]byte, n+1)
		if _, err := io.ReadFull(c.in, f.body); err != nil {
			return nil, err
		}
		f.body = f.body[:n]
		return f, nil
	}
	body, err := c.in.ReadBytes(0)
	if err != nil {
		return nil, err
	}
	f.body = body[:len(body)-1]
	return f, nil
}
