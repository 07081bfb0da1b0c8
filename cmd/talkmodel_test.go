package wyecmd_test

import (
	"fmt"
	"slices"
	"strings"
)

// talkMessage is something that was sent in a conversation by STOMP.
type talkMessage struct {
	destination, body string
	kind              string // for selectors
	note              string // a header's value, which may have to be escaped
	version           int    // of the sender
}

// talkFlow is what a subscription without a queue must get: all of it, in order, nothing else.
type talkFlow struct{ want, got []*talkMessage }

// take holds the next message to what is known, and returns it.
func (f *talkFlow) take(body string) (*talkMessage, error) {
	n := len(f.got)
	if n == len(f.want) || f.want[n].body != body {
		return nil, fmt.Errorf("got %q as message %d, want %s", body, n, bodies(f.want))
	}
	f.got = f.want[:n+1]
	return f.want[n], nil
}

func (f *talkFlow) complete() bool { return len(f.got) == len(f.want) }

func bodies(list []*talkMessage) string {
	var all []string
	for _, m := range list {
		all = append(all, m.body)
	}
	return "[" + strings.Join(all, " ") + "]"
}

// talkQueue is what is known of a queue, whatever it stands before.
type talkQueue struct {
	name  string
	items []*talkItem
	dead  []string // bodies of dead letters
	keeps bool     // it outlives its consumers, and the connection
}

// talkItem is a message in a queue.
type talkItem struct {
	*talkMessage

	holder  *stompTalkSub // who has it and has not settled it
	settled bool
	seen    bool // it was handed out: the next time it comes with a mark
	unsure  bool // perhaps it was handed out to a connection that went without a word
	nacks   int
}

func (q *talkQueue) add(m *talkMessage) { q.items = append(q.items, &talkItem{talkMessage: m}) }

// take holds a delivery to what is known: it was sent there, nobody else has it, it was not settled, and it says so when it was
// handed out before. What says it is new comes in the order of sending.
func (q *talkQueue) take(sub *stompTalkSub, body string, again bool) (*talkItem, error) {
	i := slices.IndexFunc(q.items, func(it *talkItem) bool { return it.body == body })
	if i < 0 {
		return nil, fmt.Errorf("%s: %q was never sent there", q.name, body)
	}
	it := q.items[i]
	switch {
	case it.settled:
		return nil, fmt.Errorf("%s: %q comes after it was settled", q.name, body)
	case it.holder != nil:
		return nil, fmt.Errorf("%s: %q comes to %s while %s has it", q.name, body, sub.id, it.holder.id)
	case it.seen && !again:
		return nil, fmt.Errorf("%s: %q comes again and does not say so", q.name, body)
	case !again && i < sub.last:
		return nil, fmt.Errorf("%s: %q comes to %s after %q", q.name, body, sub.id, q.items[sub.last].body)
	}
	if !again {
		sub.last = i
	}
	it.seen = true
	return it, nil
}

// left returns what must still be handed out, as far as it is sure.
func (q *talkQueue) left() []string {
	var all []string
	for _, it := range q.items {
		if !it.settled && it.holder == nil && !it.unsure {
			all = append(all, it.body)
		}
	}
	return all
}

// doubt is for a consumer that needs no acknowledgement and has gone without a word: what was on its way to it is lost.
func (q *talkQueue) doubt() {
	for _, it := range q.items {
		it.unsure = it.unsure || !it.settled && it.holder == nil
	}
}

// talkNotes are the values of a header that tell escaping right from wrong, the first of them in every version of STOMP.
func talkNotes() []string {
	return []string{"plain", "a:b", `back\slash`, "two\nlines", ":\\n\n\\c", "re\rturn"}
}

// talkEscapes are the replacements of a version of STOMP, 1.0 to 1.2 as 0 to 2.
func talkEscapes(version int) []string {
	switch version {
	case 0:
		return nil
	case 1:
		return []string{`\`, `\\`, "\n", `\n`, ":", `\c`}
	default:
		return []string{`\`, `\\`, "\n", `\n`, ":", `\c`, "\r", `\r`}
	}
}

func talkEscape(version int, text string) string {
	return strings.NewReplacer(talkEscapes(version)...).Replace(text)
}

func talkUnescape(version int, text string) string {
	pairs := slices.Clone(talkEscapes(version))
	slices.Reverse(pairs)
	return strings.NewReplacer(pairs...).Replace(text)
}

// sayable reports whether a header's value can be said in a version: 1.0 has no line ends, 1.1 no carriage returns.
func sayable(version int, text string) bool {
	return !(version == 0 && strings.Contains(text, "\n")) && !(version < 2 && strings.Contains(text, "\r"))
}
