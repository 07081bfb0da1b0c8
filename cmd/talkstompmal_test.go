package wyecmd_test

import (
	"io"
	"strings"
)

// friend returns the connection of mal.
func (k *stompTalk) friend() *stompTalkSide {
	k.t.Helper()
	if k.mal == nil {
		k.mal = newStompSide(k.t, k.k, "mal", k.pick(3), k.pick(stompTalkWays))
		if f := k.mal.login("login:mal", "passcode:"+talkPassword("mal")); f.command != "CONNECTED" {
			k.t.Fatalf("CONNECT of mal is answered by %+v", f)
		}
	}
	return k.mal
}

// stranger logs in with what is not right.
func (k *stompTalk) stranger(int) bool {
	s := newStompSide(k.t, k.k, "talk", k.pick(3), k.pick(stompTalkWays))
	headers := [][]string{
		{"login:talk", "passcode:wrong"},
		{"login:talk", "passcode:"},
		{"login:talk"},
		{"login:talk", "passcode:" + talkPassword("mal"), "client-id:" + k.id},
		{},
	}
	what := headers[k.pick(len(headers))]
	if f := s.login(what...); f.command != "ERROR" || f.header("reason") != "bad_credentials" {
		k.t.Fatalf("CONNECT %q is answered by %+v", what, f)
	}
	s.over()
	return true
}

// steal uses the client id of somebody else, who is there and stays.
func (k *stompTalk) steal(int) bool {
	s := newStompSide(k.t, k.k, "mal", k.pick(3), k.pick(stompTalkWays))
	if f := s.login("login:mal", "passcode:"+talkPassword("mal"), "client-id:"+k.id); f.command != "ERROR" || f.header("reason") != "not_authorized" {
		k.t.Fatalf("CONNECT with the client id of another is answered by %+v", f)
	}
	s.over()
	return k.send(k.topic(0))
}

// denied wants mal to be told no.
func (k *stompTalk) denied(command, body string, headers ...string) bool {
	k.t.Helper()
	if k.friend().refused("not_authorized", command, body, headers...) {
		k.mal = nil
	}
	return true
}

// deniedSend sends what must never come: whoever gets it fails, because nobody is to.
func (k *stompTalk) deniedSend(i int) bool {
	places := []string{k.topic(0), k.topic(1), k.topic(2), k.queue(0), k.queue(1), k.topic(3) + ",/queue/" + k.id + "-0"}
	return k.denied("SEND", "denied", "destination:"+places[k.pick(len(places))])
}

// deniedSubscribe asks for what mal must never get.
func (k *stompTalk) deniedSubscribe(int) bool {
	places := []string{k.topic(0), k.topic(1), "/topic/" + k.id + ".*", "/topic/" + k.id + ".#", "/topic/#", k.queue(0), k.queue(1)}
	return k.denied("SUBSCRIBE", "", "id:"+k.name("no"), "destination:"+places[k.pick(len(places))], "ack:"+stompModes()[k.pick(3)])
}

// deniedCommit has one message that is allowed in a transaction, and one that is not: neither comes.
func (k *stompTalk) deniedCommit(i int) bool {
	mal := k.friend()
	tx := "transaction:" + k.name("tx")
	mal.right("BEGIN", "", tx)
	mal.right("SEND", "half", "destination:"+k.topic(stompTopics-1), tx)
	mal.right("SEND", "denied", "destination:"+k.topic(i%3), tx)
	return k.denied("COMMIT", "", tx)
}

func (k *stompTalk) malSends(int) bool {
	mal := k.friend()
	m, headers := k.message(mal, k.topic(stompTopics-1))
	k.publish(m)
	mal.right("SEND", m.body, headers...)
	return true
}

func (k *stompTalk) malSubscribes(int) bool {
	topic := k.topic(stompTopics - 1)
	sub := &stompTalkSub{id: k.name("open"), mode: "auto", matches: func(d string) bool { return d == topic }}
	k.enter(k.friend(), sub, topic)
	return true
}

// stompWrong is what is wrong whatever was said before, and what must be answered.
type stompWrong struct {
	name, say, reason string
	fatal             bool // it ends a lenient connection, too
}

// stompWrongs lists it; open is a subscription and a transaction that there are.
func stompWrongs(open string) []stompWrong {
	const end, stay = true, false
	return []stompWrong{
		{"CONNECT twice", stompFrame("CONNECT", "accept-version:1.2", "host:/"), "protocol_error", end},
		{"STOMP twice", stompFrame("STOMP", "accept-version:1.2", "host:/"), "protocol_error", end},
		{"a command that is none", stompFrame("FROB"), "protocol_error", end},
		{"a command of the server", stompFrame("MESSAGE", "destination:/topic/a", "message-id:1", "subscription:1"), "protocol_error", end},
		{"SEND to nothing", stompFrame("SEND"), "protocol_error", stay},
		{"SEND to nowhere", stompFrame("SEND", "destination:nowhere"), "protocol_error", stay},
		{"SEND to what is empty", stompFrame("SEND", "destination:"), "protocol_error", stay},
		{"SEND in no transaction", stompFrame("SEND", "destination:/topic/a", "transaction:never-begun"), "protocol_error", stay},
		{"SEND to a wildcard", stompFrame("SEND", "destination:/topic/a.*"), "protocol_error", stay},
		{"content-length that is no number", stompFrame("SEND", "destination:/topic/a", "content-length:x"), "protocol_error", end},
		{"content-length below zero", stompFrame("SEND", "destination:/topic/a", "content-length:-1"), "protocol_error", end},
		{"content-length too short", "SEND\ndestination:/topic/a\ncontent-length:1\n\nlonger\x00", "protocol_error", end},
		{"a header without colon", "SEND\ndestination:/topic/a\nno colon\n\n\x00", "protocol_error", end},
		{"SUBSCRIBE to nothing", stompFrame("SUBSCRIBE", "id:new"), "protocol_error", stay},
		{"a selector that is none", stompFrame("SUBSCRIBE", "id:new", "destination:/topic/a", "selector:a b c"), "protocol_error", stay},
		{"an ack mode that is none", stompFrame("SUBSCRIBE", "id:new", "destination:/topic/a", "ack:sometimes"), "protocol_error", stay},
		{"SUBSCRIBE twice", stompFrame("SUBSCRIBE", "id:"+open, "destination:/topic/a"), "in_use", stay},
		{"UNSUBSCRIBE from nothing", stompFrame("UNSUBSCRIBE", "id:never-there"), "not_found", stay},
		{"UNSUBSCRIBE without id", stompFrame("UNSUBSCRIBE"), "protocol_error", stay},
		{"BEGIN without name", stompFrame("BEGIN"), "protocol_error", stay},
		{"BEGIN twice", stompFrame("BEGIN", "transaction:"+open), "protocol_error", stay},
		{"COMMIT of nothing", stompFrame("COMMIT", "transaction:never-begun"), "protocol_error", stay},
		{"ABORT of nothing", stompFrame("ABORT", "transaction:never-begun"), "protocol_error", stay},
		{"ACK of nothing", stompFrame("ACK", "id:never-sent", "message-id:never-sent", "subscription:"+open), "not_found", stay},
		{"ACK without id", stompFrame("ACK", "subscription:"+open), "protocol_error", stay},
		{"ACK of a long id", stompFrame("ACK", "id:"+strings.Repeat("9", 300), "subscription:"+open, "message-id:"+strings.Repeat("9", 300)), "not_found", stay},
		{"no frame", strings.Repeat("X", 100), "protocol_error", end},
		{"headers too large", stompFrame("SEND", "destination:/topic/a", "x:"+strings.Repeat("y", 70<<10)), "frame_too_large", end},
		{"too many headers", stompFrame("SEND", strings.Repeat("h:v\n", 2000)+"destination:/topic/a"), "frame_too_large", end},
	}
}

// wrong says something that must be answered by ERROR and, mostly, the end. Then the conversation goes on.
func (k *stompTalk) wrong(int) bool {
	s := k.main
	open := k.name("open")
	sub := &stompTalkSub{id: open, mode: "client", queue: &talkQueue{name: open}, matches: func(string) bool { return false }}
	s.subs[open] = sub
	s.right("SUBSCRIBE", "", "id:"+open, "destination:/topic/"+k.id+".none", "ack:client")
	s.right("BEGIN", "", "transaction:"+open)
	all := stompWrongs(open)
	w := all[k.pick(len(all))]
	s.write(w.say)
	if f := s.await(); f.command != "ERROR" || f.header("reason") != w.reason {
		k.t.Fatalf("%s is answered by %+v, want ERROR %s", w.name, f, w.reason)
	}
	k.k.took(w.name)
	if w.fatal || s.strict {
		s.over()
		k.again(false)
		return true
	}
	s.right("ABORT", "", "transaction:"+open)
	return true
}

// garbage ends what nothing is known about: it is answered somehow, and then over.
func (k *stompTalk) garbage() {
	k.main.write(k.rest())
	half, ok := k.main.nc.(interface{ CloseWrite() error })
	if !ok {
		return // a WebSocket ends at once
	}
	_ = half.CloseWrite()
	text, err := io.ReadAll(k.main.in)
	if err != nil {
		k.t.Fatalf("the end: %v", err)
	}
	if strings.Contains(string(text), "internal_error") {
		k.t.Fatalf("got %q", text)
	}
}
