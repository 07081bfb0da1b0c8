package peer

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// receiptDigits is how long the numbers are that we ask receipts for: of one length, to be overwritten in place.
const receiptDigits = 10

// subscribeReceipt precedes the receipts of subscriptions, which are so told from those of sends.
const subscribeReceipt = "sub-"

// maxHead bounds the head of a frame.
const maxHead = 1 << 20

// stomp is the protocol STOMP; version is what the broker has chosen.
type stomp struct{ version string }

var (
	escaper   = strings.NewReplacer("\\", `\\`, "\n", `\n`, "\r", `\r`, ":", `\c`)
	unescaper = strings.NewReplacer(`\\`, "\\", `\n`, "\n", `\r`, "\r", `\c`, ":")
)

func line(dst []byte, name, value string) []byte {
	dst = append(dst, escaper.Replace(name)...)
	dst = append(dst, ':')
	dst = append(dst, escaper.Replace(value)...)
	return append(dst, '\n')
}

func lines(dst []byte, hs []Header) []byte {
	for _, h := range hs {
		dst = line(dst, h.Name, h.Value)
	}
	return dst
}

func (s *stomp) connect(dst []byte, t *Target, l *Login) []byte {
	// CONNECT, which brokers of 1.0 know too; its headers are not escaped. STOMP 1.2, "Value Encoding".
	dst = append(dst, "CONNECT\naccept-version:1.0,1.1,1.2\nhost:"...)
	host := t.VHost
	if host == "" {
		host = "/"
	}
	dst = append(dst, host...)
	ms := strconv.FormatInt(l.KeepAlive.Milliseconds(), 10)
	dst = append(dst, "\nheart-beat:"+ms+",0\n"...)
	if t.User != "" {
		dst = append(dst, "login:"+t.User+"\npasscode:"+t.Password+"\n"...)
	}
	if l.ClientID != "" {
		dst = append(dst, "client-id:"+l.ClientID+"\n"...)
	}
	for _, h := range l.Header {
		dst = append(dst, h.Name+":"+h.Value+"\n"...)
	}
	return append(dst, "\n\x00"...)
}

func (s *stomp) subscribe(dst []byte, sub *Subscription, id uint16) []byte {
	dst = append(dst, "SUBSCRIBE\n"...)
	dst = line(dst, "id", sub.ID)
	dst = line(dst, "destination", sub.Filter)
	ack := sub.Ack
	if ack == "" {
		ack = "auto"
	}
	dst = line(dst, "ack", ack)
	dst = line(dst, "receipt", subscribeReceipt+strconv.Itoa(int(id)))
	return append(lines(dst, sub.Header), "\n\x00"...)
}

func (s *stomp) publish(dst []byte, p *Publication, id uint32) ([]byte, int) {
	at, start := 0, len(dst)
	dst = append(dst, "SEND\n"...)
	if p.Confirm {
		dst = append(dst, "receipt:"...)
		at = len(dst) - start
		dst = append(dst, make([]byte, receiptDigits)...)
		s.putID(dst[start+at:], id)
		dst = append(dst, '\n')
	}
	dst = line(dst, "destination", p.Destination)
	if p.ContentType != "" {
		dst = line(dst, "content-type", p.ContentType)
	}
	dst = lines(dst, p.Header)
	dst = append(dst, "content-length:"...)
	dst = strconv.AppendInt(dst, int64(len(p.Body)), 10)
	dst = append(dst, "\n\n"...)
	dst = append(dst, p.Body...)
	return append(dst, 0), at
}

func (*stomp) putID(at []byte, id uint32) {
	for i := receiptDigits - 1; i >= 0; i-- {
		at[i] = '0' + byte(id%10)
		id /= 10
	}
}

func (s *stomp) answer(dst []byte, p *Packet) []byte {
	if p.Kind != Message {
		return dst
	}
	dst = append(dst, "ACK\n"...)
	if s.version == "1.2" {
		dst = append(dst, "id:"...)
		dst = append(dst, raw(p.head, "ack")...)
	} else {
		dst = append(dst, "message-id:"...)
		dst = append(dst, raw(p.head, "message-id")...)
		if sub := raw(p.head, "subscription"); sub != nil {
			dst = append(dst, "\nsubscription:"...)
			dst = append(dst, sub...)
		}
	}
	return append(dst, "\n\n\x00"...)
}

func (*stomp) ping(dst []byte) []byte { return append(dst, '\n') }

func (*stomp) disconnect(dst []byte) []byte { return append(dst, "DISCONNECT\n\n\x00"...) }

// parse reads one frame, or one line end between frames.
func (s *stomp) parse(b []byte, p *Packet) (int, error) {
	if b[0] == '\n' || b[0] == '\r' { // heart-beats, and line ends that may follow a frame
		p.Kind = Other
		return 1, nil
	}
	command := bytes.IndexByte(b, '\n')
	if command < 0 {
		return 0, tooLong(b)
	}
	stop, skip := "\n\n", 2
	if b[command-1] == '\r' {
		stop, skip = "\n\r\n", 3
	}
	end := bytes.Index(b[command:], []byte(stop))
	if end < 0 {
		return 0, tooLong(b)
	}
	end += command
	p.head = b[command+1 : max(end, command+1)]
	if end > command {
		p.head = b[command+1 : end+1]
	}
	body := b[end+skip:]
	n := -1
	if length := raw(p.head, "content-length"); length != nil {
		var err error
		if n, err = strconv.Atoi(string(length)); err != nil || n < 0 {
			return 0, fmt.Errorf("content-length %q", length)
		}
		if len(body) <= n {
			return 0, nil
		}
		if body[n] != 0 {
			return 0, errors.New("a frame does not end with its body")
		}
	} else if n = bytes.IndexByte(body, 0); n < 0 {
		return 0, nil
	}
	p.Body = body[:n]
	s.classify(p, bytes.TrimRight(b[:command], "\r"))
	return end + skip + n + 1, nil
}

func (s *stomp) classify(p *Packet, command []byte) {
	p.ID = 0
	switch string(command) {
	case "MESSAGE":
		p.Kind = Message
	case "RECEIPT":
		id := raw(p.head, "receipt-id")
		p.Kind = Confirmed
		if sub, ok := bytes.CutPrefix(id, []byte(subscribeReceipt)); ok {
			p.Kind, id = Subscribed, sub
		}
		for _, c := range id {
			p.ID = p.ID*10 + uint32(c-'0')
		}
	case "CONNECTED":
		p.Kind = Connected
		if s.version = string(raw(p.head, "version")); s.version == "" {
			s.version = "1.0"
		}
	case "ERROR":
		p.Kind = Refused
	default:
		p.Kind = Other
	}
}

// tooLong is an error when there should have been an end by now.
func tooLong(b []byte) error {
	if len(b) > maxHead {
		return errors.New("the head of a frame does not end")
	}
	return nil
}

// raw returns the value of the first header with the name as it was sent.
func raw(head []byte, name string) []byte {
	for at := 0; at < len(head); {
		next := bytes.IndexByte(head[at:], '\n')
		if next < 0 {
			break
		}
		if l := head[at : at+next]; len(l) > len(name) && l[len(name)] == ':' && string(l[:len(name)]) == name {
			return bytes.TrimRight(l[len(name)+1:], "\r")
		}
		at += next + 1
	}
	return nil
}

func (s *stomp) destination(p *Packet) string { return s.unescape(string(raw(p.head, "destination"))) }

func (s *stomp) headers(p *Packet) []Header {
	var all []Header
	for l := range bytes.Lines(p.head) {
		name, value, _ := bytes.Cut(bytes.TrimRight(l, "\r\n"), []byte(":"))
		all = append(all, Header{s.unescape(string(name)), s.unescape(string(value))})
	}
	return all
}

// unescape undoes what 1.1 and 1.2 do to headers.
func (s *stomp) unescape(v string) string {
	if s.version == "1.0" || !strings.Contains(v, "\\") {
		return v
	}
	return unescaper.Replace(v)
}
