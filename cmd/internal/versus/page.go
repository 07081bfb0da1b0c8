package versus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// with returns the rows with one of the measures.
func withMeasure(measures ...string) []row {
	return slices.DeleteFunc(rows(), func(w row) bool { return !slices.Contains(measures, w.measure) })
}

// where says what it was measured on.
func (r *Report) where() string {
	m := r.Machine
	share := fmt.Sprintf("brokers and load share %d cores", m.Cores)
	if r.Brokers != "" {
		share = "broker and load on two cores each"
	}
	return fmt.Sprintf("%s, %d × %s, %s, %s; %s; medians of %s of %s s",
		r.Started.Format("2 January 2006"), m.Cores, m.CPU, m.Kernel, share, m.Go, plural(r.Rounds, "round"), digits(r.Seconds))
}

// quiet is the load average of a core up to which a machine counts as one that does nothing else: the average looks back a
// minute, on what was built just before.
const quiet = 0.5

// hasty says why the figures are no more than a quick look, "" if they are more.
func (r *Report) hasty() string {
	load, err := strconv.ParseFloat(r.Machine.Load, 64)
	switch {
	case r.Rounds < 3:
		return fmt.Sprintf("**This was a quick look, of %s and with a load average of %s before the start.** ", plural(r.Rounds, "round"), r.Machine.Load)
	case err != nil || load > quiet*float64(r.Machine.Cores):
		return fmt.Sprintf("**The machine had other things to do: the load average before the start was %s.** ", r.Machine.Load)
	default:
		return ""
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Markdown is the whole report: every table, and what is to be known about it.
func (r *Report) Markdown() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# wye and its peers\n")
	p("%s%s. The load average before the start was %s, and it took %s. Written by `make bench-peers`; [results.json](results.json) has every run, "+
		"with the arguments of `wye bench` that repeat it.\n", r.hasty(), r.where(), r.Machine.Load, r.Finished.Sub(r.Started).Round(1e9))
	p("Each broker starts each round with an empty folder, alone on its cores while it is measured: all others are idle. Brokers take turns in each row. " +
		"The figure is the median of the rounds, the least and the greatest are in brackets. Messages are of 16 bytes, over WebSockets where it does not say tcp; " +
		"QoS 0 and auto acknowledgement, for the queue everything is confirmed and acknowledged. Several messages may share a packet, as far as the publisher has some at hand; " +
		"the rows with one message per packet are what browsers send. Topics of their own for consumers of a queue (4 topics) are for brokers without shared subscriptions. ⚠ is explained [below](#what-went-wrong).\n")
	r.tables(&b)
	r.plotLinks(&b)
	section := func(title string, lines []string) {
		if len(lines) > 0 {
			p("## %s\n", title)
			for _, l := range lines {
				p("- %s", l)
			}
			p("")
		}
	}
	section("What went wrong", r.flawList())
	section("What is different for whom", r.noteList())
	var who []string
	for _, x := range r.Peers {
		line := fmt.Sprintf("**%s** %s: %s", x.Title, x.Version, x.About)
		if x.LeftOut != "" {
			line = fmt.Sprintf("**%s** is left out: %s", x.Title, x.LeftOut)
		}
		who = append(who, line)
	}
	section("Who, and how it is configured", who)
	p("The configurations are in [templates](../../cmd/internal/versus/templates).")
	return b.String()
}

// tables writes those of each protocol.
func (r *Report) tables(b *strings.Builder) {
	put := func(title, table string) {
		if table != "" {
			fmt.Fprintf(b, "%s\n\n%s\n", title, table)
		}
	}
	for _, protocol := range []string{stomp, mqtt, cross} {
		if len(r.peersOf(protocol)) == 0 {
			continue
		}
		fmt.Fprintf(b, "## %s\n\n", spelled(protocol))
		flows := withMeasure(byCost)
		put("CPU-seconds of the broker per million deliveries; less is better:", r.table(protocol, flows, spreadOf(cost, digits)))
		put("Deliveries per second:", r.table(protocol, flows, spreadOf(rate, short)))
		put("Resident memory of the broker at the end:", r.table(protocol, flows, spreadOf(memory, bytesOf)))
		put("Latency at 5,000 messages per second, in ms:", r.latencies(protocol))
		put("5,000 idle connections, each with a subscription, and logins per second:",
			r.table(protocol, withMeasure(byMemory, byLogins), func(w *row, c cell) string { return spreadOf(w.main(), w.write)(w, c) }))
	}
}

// latencies is a table with a line for each percentile.
func (r *Report) latencies(protocol string) string {
	var out strings.Builder
	for i, part := range percentiles() {
		of := withMeasure(byLatency)
		of[0].title = part.name
		table := r.table(protocol, of, spreadOf(percentile(part.of), digits))
		if i > 0 && table != "" {
			table = strings.SplitAfterN(table, "\n", 3)[2]
		}
		out.WriteString(table)
	}
	return out.String()
}

// Summary is what the README says: the machine, a table of every row with the best of the others, and how to repeat it.
func (r *Report) Summary() string {
	g := newGrid("", "wye, STOMP", "best other", "wye, MQTT", "best other")
	for _, w := range rows() {
		line := []string{w.title}
		pairs := both()
		if w.protocols[0] == cross {
			pairs = []string{cross}
		}
		found := false
		for _, protocol := range pairs {
			own, other := r.pair(&w, protocol)
			found = found || own != "–" || other != "–"
			line = append(line, own, other)
		}
		for len(line) < g.cols {
			line = append(line, "")
		}
		if found {
			g.add(line...)
		}
	}
	var b strings.Builder
	version := ""
	if own := r.peer("wye"); own != nil {
		version = " " + own.Version
	}
	fmt.Fprintf(&b, "%sCPU-seconds of the broker per million deliveries, and deliveries per second; p99 for the latency; 5,000 idle connections. wye%s and the best of %s; "+
		"**bold** is better. %s.\n\n%s\n", r.hasty(), version, r.others(), r.where(), g.b.String())
	b.WriteString("```sh\nmake bench-peers ROWS=fan-100 PEERS='wye nats'    # one row; without ROWS and PEERS all\n```\n\n" +
		"[Everybody, in every row, with spread, plots and configurations](.github/bench/README.md)")
	if strings.Contains(b.String(), "⚠") {
		b.WriteString(", and what ⚠ means")
	}
	b.WriteString(".\n")
	return b.String()
}

// others names those that wye is compared with.
func (r *Report) others() string {
	var names []string
	for _, p := range r.Peers {
		if p.LeftOut == "" && !p.Floor && p.Of == "" && p.Name != "wye" {
			names = append(names, strings.TrimSpace(p.Title+" "+upstream(p.Version)))
		}
	}
	return strings.Join(names, ", ")
}

// upstream is a version without what Debian adds.
func upstream(v string) string {
	v, _, _ = strings.Cut(v, "-")
	v, _, _ = strings.Cut(v, "+")
	return strings.TrimPrefix(v, "v")
}

// pair is wye and the best of the others in a row, the better one in bold.
func (r *Report) pair(w *row, protocol string) (own, other string) {
	var mine, best Figure
	var have bool
	own, other = "–", "–"
	for i := range r.Peers {
		p := &r.Peers[i]
		c := r.cell(w.id, protocol, p.Name)
		f, ok := c.figure(w.main())
		if !ok || p.Floor {
			continue
		}
		text := c.main(w)
		if len(c.flaws()) > 0 {
			text += " ⚠"
		}
		if p.Name == "wye" {
			mine, own = f, text
		} else if !have || w.better(f.Median, best.Median) {
			best, have, other = f, true, text+" "+p.heading(protocol)
			if note := c.runs[0].Note; note != "" {
				other += ", " + note
			}
		}
	}
	switch {
	case own == "–" || !have:
	case w.better(mine.Median, best.Median):
		own = "**" + own + "**"
	default:
		other = "**" + other + "**"
	}
	return own, other
}
