package users

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/wyemq/wye/core"
)

// Import reads the users of another broker: RabbitMQ's definitions (JSON, as `rabbitmqctl export_definitions` writes
// them) or Mosquitto's password file. Their passwords go on working. The notes say what was not taken over and why.
func Import(data []byte) (all []User, notes []string, err error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return importRabbit(data)
	}
	return importMosquitto(data)
}

// definitions are the part of RabbitMQ's that is about users.
type definitions struct {
	Users []struct {
		Name      string          `json:"name"`
		Hash      string          `json:"password_hash"`
		Algorithm string          `json:"hashing_algorithm"`
		Tags      json.RawMessage `json:"tags"`
	} `json:"users"`
	Permissions []struct {
		User  string `json:"user"`
		VHost string `json:"vhost"`
	} `json:"permissions"`
	TopicPermissions []json.RawMessage `json:"topic_permissions"`
}

func importRabbit(data []byte) (all []User, notes []string, err error) {
	var d definitions
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, nil, fmt.Errorf("definitions of RabbitMQ: %w", err)
	}
	if d.Users == nil {
		return nil, nil, errors.New("definitions of RabbitMQ: there is no list of users")
	}
	vhosts := make(map[string][]string)
	for _, p := range d.Permissions {
		vhosts[p.User] = append(vhosts[p.User], p.VHost)
	}
	for _, in := range d.Users {
		u := User{Name: in.Name, Groups: tags(in.Tags)}
		switch in := vhosts[u.Name]; {
		case len(in) == 1 && in[0] != "/" && core.CheckVHost(in[0]) == nil:
			u.VHost = in[0]
		case len(in) == 1 && in[0] == "/" || len(in) == 0:
		default:
			notes = append(notes, fmt.Sprintf("user %q: permissions in the virtual hosts %q; it is of none here, and needs a rule that allows connect on each, as vhost/name", u.Name, in))
		}
		switch in.Algorithm {
		case "rabbit_password_hashing_sha256":
			u.Hash = "$" + rabbit256 + "$" + in.Hash
		case "rabbit_password_hashing_sha512":
			u.Hash = "$" + rabbit512 + "$" + in.Hash
		default:
			notes = append(notes, fmt.Sprintf("user %q: hashed with %q, which is not safe: set a password", in.Name, in.Algorithm))
			continue
		}
		if in.Hash == "" {
			notes = append(notes, fmt.Sprintf("user %q: has no password", in.Name))
			continue
		}
		if err := u.check(); err != nil {
			notes = append(notes, err.Error())
			continue
		}
		all = append(all, u)
	}
	if n := len(d.Permissions) + len(d.TopicPermissions); n > 0 {
		notes = append(notes, fmt.Sprintf("%d permissions: they are regular expressions over names of RabbitMQ; write auth.acl.rules instead", n))
	}
	return all, notes, nil
}

// tags are a text with commas, or a list since RabbitMQ 3.9.
func tags(raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		var text string
		_ = json.Unmarshal(raw, &text)
		list = strings.Split(text, ",")
	}
	var groups []string
	for _, tag := range list {
		if tag = strings.TrimSpace(tag); tag != "" {
			groups = append(groups, tag)
		}
	}
	return groups
}

func importMosquitto(data []byte) (all []User, notes []string, err error) {
	s := bufio.NewScanner(bytes.NewReader(data))
	for line := 1; s.Scan(); line++ {
		text := strings.TrimSpace(s.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, hash, ok := strings.Cut(text, ":")
		if !ok {
			return nil, nil, fmt.Errorf("password file of Mosquitto: line %d: must be name:hash", line)
		}
		u := User{Name: name, Hash: hash}
		if err := u.check(); err != nil {
			notes = append(notes, fmt.Sprintf("line %d: %v", line, err))
			continue
		}
		all = append(all, u)
	}
	if err := s.Err(); err != nil {
		return nil, nil, fmt.Errorf("password file of Mosquitto: %w", err)
	}
	return all, notes, nil
}
