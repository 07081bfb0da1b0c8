package versus

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/wyemq/wye/cmd/internal/load"
)

// names are how protocols are written.
func spelled(protocol string) string {
	switch protocol {
	case stomp:
		return "STOMP"
	case mqtt:
		return "MQTT"
	default:
		return "STOMP → MQTT"
	}
}

// grid is a table of Markdown.
type grid struct {
	b    strings.Builder
	cols int
}

func newGrid(head ...string) *grid {
	g := &grid{cols: len(head)}
	g.add(head...)
	g.b.WriteString("|---" + strings.Repeat("|--:", g.cols-1) + "|\n")
	return g
}

func (g *grid) add(cells ...string) {
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", "\\|")
	}
	g.b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// brief is a run in a few words, for the log.
func (r *Report) brief(w *row, x *Sample) string {
	one := &Report{Runs: []Sample{*x}}
	c := one.cell(x.Row, x.Protocol, x.Peer)
	said := c.main(w)
	if f := x.flaw(); f != "" {
		return strings.TrimSpace(said + "  " + f)
	}
	return said
}

// main writes what a row is about, "" if there is no figure.
func (c cell) main(w *row) string {
	f, ok := c.figure(w.main())
	if !ok {
		return ""
	}
	switch w.measure {
	case byLatency:
		return digits(f.Median) + " ms"
	case byMemory:
		return bytesOf(f.Median)
	case byLogins:
		return short(f.Median) + "/s"
	}
	if n, ok := c.figure(rate); ok {
		return digits(f.Median) + " (" + short(n.Median) + "/s)"
	}
	return digits(f.Median)
}

// write is how figures of a row are written.
func (w *row) write(v float64) string {
	switch w.measure {
	case byMemory:
		return bytesOf(v)
	case byLogins:
		return short(v)
	default:
		return digits(v)
	}
}

// peersOf are those that have run anything in a protocol, in their order.
func (r *Report) peersOf(protocol string) []*Peer {
	var out []*Peer
	for i := range r.Peers {
		p := &r.Peers[i]
		if slices.ContainsFunc(r.Runs, func(x Sample) bool { return x.Peer == p.Name && x.Protocol == protocol }) {
			out = append(out, p)
		}
	}
	return out
}

// heading is a peer in the head of a table.
func (p *Peer) heading(protocol string) string {
	if p.Floor {
		return "*" + p.Title + "*"
	}
	if p.Via[protocol] == "tcp" {
		return p.Title + " (tcp)"
	}
	return p.Title
}

// table has a line for each row and a column for each peer. entry returns "" for what there is not.
func (r *Report) table(protocol string, of []row, entry func(w *row, c cell) string) string {
	peers := r.peersOf(protocol)
	head := []string{""}
	for _, p := range peers {
		head = append(head, p.heading(protocol))
	}
	g := newGrid(head...)
	lines := 0
	for i := range of {
		w := &of[i]
		line := []string{w.title}
		found := false
		for _, p := range peers {
			c := r.cell(w.id, protocol, p.Name)
			text := "–"
			if p.Without[w.id] != "" {
				text = "n/a"
			}
			if len(c.runs) > 0 {
				found = true
				if text = entry(w, c); text == "" {
					text = "failed"
				}
				if len(c.flaws()) > 0 {
					text += " ⚠"
				}
			}
			line = append(line, text)
		}
		if found {
			g.add(line...)
			lines++
		}
	}
	if lines == 0 {
		return ""
	}
	return g.b.String()
}

// spreadOf is an entry: the figure with its spread.
func spreadOf(of func(*load.Result) (float64, bool), write func(float64) string) func(*row, cell) string {
	return func(_ *row, c cell) string {
		f, ok := c.figure(of)
		if !ok {
			return ""
		}
		return f.with(write)
	}
}

// flawList says everything that was wrong.
func (r *Report) flawList() []string {
	var out []string
	for _, w := range rows() {
		for _, protocol := range w.protocols {
			for i := range r.Peers {
				if flaws := r.cell(w.id, protocol, r.Peers[i].Name).flaws(); len(flaws) > 0 {
					out = append(out, fmt.Sprintf("%s, %s, %s: %s", r.Peers[i].Title, w.title, spelled(protocol), strings.Join(flaws, "; ")))
				}
			}
		}
	}
	return out
}

// noteList says what was different for whom.
func (r *Report) noteList() []string {
	var out []string
	for _, w := range rows() {
		for _, p := range r.Peers {
			if why := p.Without[w.id]; why != "" {
				out = append(out, fmt.Sprintf("%s, %s: n/a, for %s", p.Title, w.title, why))
			}
		}
	}
	for i := range r.Runs {
		x := &r.Runs[i]
		if x.Note == "" || rowIndex(x.Row) < 0 {
			continue
		}
		w := rows()[rowIndex(x.Row)]
		note := fmt.Sprintf("%s, %s, %s: %s", r.peer(x.Peer).Title, w.title, spelled(x.Protocol), x.Note)
		if !slices.Contains(out, note) {
			out = append(out, note)
		}
	}
	return out
}

// The marks between which the table of the README lies.
const (
	sectionBegin = "<!-- make bench-peers writes from here -->\n"
	sectionEnd   = "<!-- to here -->\n"
)

// replaceSection puts text between the marks of a file.
func replaceSection(path, text string) error {
	b, err := os.ReadFile(path) //nolint:gosec // the README
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(b), sectionBegin)
	_, after, ended := strings.Cut(rest, sectionEnd)
	if !ok || !ended {
		return fmt.Errorf("%s has no place for the table: the lines %q and %q", path, strings.TrimSpace(sectionBegin), strings.TrimSpace(sectionEnd))
	}
	return os.WriteFile(path, []byte(before+sectionBegin+text+sectionEnd+after), 0o644) //nolint:gosec // the README
}
