package versus

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"text/template"

	"github.com/wyemq/wye/cmd/internal/load"
)

// Plots returns the pictures of the report, by file name: one line for each row, one dot for each peer, on a
// logarithmic axis.
func (r *Report) Plots() map[string]string {
	out := make(map[string]string)
	put := func(name string, p *plot) {
		if svg := p.svg(); svg != "" {
			out[name] = svg
		}
	}
	for _, protocol := range both() {
		costs := r.newPlot(spelled(protocol)+": CPU-seconds of the broker per million deliveries", digits)
		rates := r.newPlot(spelled(protocol)+": deliveries per second", short)
		for _, w := range withMeasure(byCost) {
			costs.line(r, w.title, w.id, protocol, cost)
			rates.line(r, w.title, w.id, protocol, rate)
		}
		put("cost-"+protocol+".svg", costs)
		put("rate-"+protocol+".svg", rates)
	}
	latency := r.newPlot("latency at 5,000 messages per second, ms", digits)
	idle := r.newPlot("resident bytes of an idle connection", short)
	for _, protocol := range both() {
		for _, part := range percentiles() {
			latency.line(r, spelled(protocol)+", "+part.name, "latency", protocol, percentile(part.of))
		}
		idle.line(r, spelled(protocol), "idle", protocol, perConnection)
	}
	put("latency.svg", latency)
	put("memory.svg", idle)
	return out
}

// percentiles are those of the tables.
func percentiles() []struct {
	name string
	of   func(*load.Latency) float64
} {
	return []struct {
		name string
		of   func(*load.Latency) float64
	}{{"p50", p50}, {"p99", p99}, {"p99.9", p999}}
}

// plotLinks writes the pictures into a page.
func (r *Report) plotLinks(b *strings.Builder) {
	plots := r.Plots()
	if len(plots) == 0 {
		return
	}
	b.WriteString("## Plots\n\nThe axes are logarithmic; lines through dots reach from the least to the greatest.\n\n")
	for _, name := range []string{"cost-stomp.svg", "cost-mqtt.svg", "rate-stomp.svg", "rate-mqtt.svg", "latency.svg", "memory.svg"} {
		if _, ok := plots[name]; ok {
			fmt.Fprintf(b, "![%s](%s)\n\n", strings.TrimSuffix(name, ".svg"), name)
		}
	}
}

// Measures of a plot, in pixels.
const (
	plotWidth  = 860
	plotLeft   = 230 // of the axis
	plotRight  = 30
	plotTop    = 78
	lineHeight = 30
	legendStep = 136
	legendRow  = 18
)

// plot is a picture in the making.
type plot struct {
	Title  string
	Write  func(float64) string
	Lines  []plotLine
	Legend []mark

	colours map[string]string
	least   float64
	most    float64
}

type plotLine struct {
	Label string
	dots  []dot
}

type dot struct {
	peer *Peer
	f    Figure
}

// mark is a dot as it is drawn.
type mark struct {
	X, Y, From, To float64
	Class, Title   string
}

func (r *Report) newPlot(title string, write func(float64) string) *plot {
	p := &plot{Title: title, Write: write, colours: make(map[string]string), least: math.Inf(1)}
	for i, b := range brokers() { // the same colour in each picture
		p.colours[b.name] = fmt.Sprintf("c%d", i)
	}
	return p
}

// line adds a line, if anybody has a figure for it.
func (p *plot) line(r *Report, label, row, protocol string, of func(*load.Result) (float64, bool)) {
	l := plotLine{Label: label}
	for i := range r.Peers {
		f, ok := r.cell(row, protocol, r.Peers[i].Name).figure(of)
		if !ok || f.Least <= 0 { // a logarithm has no place for it
			continue
		}
		l.dots = append(l.dots, dot{&r.Peers[i], f})
		p.least, p.most = min(p.least, f.Least), max(p.most, f.Most)
	}
	if len(l.dots) > 0 {
		p.Lines = append(p.Lines, l)
	}
}

// x is where a value lies.
func (p *plot) x(v float64) float64 {
	lo, hi := math.Floor(math.Log10(p.least)), math.Ceil(math.Log10(p.most))
	if hi <= lo {
		hi = lo + 1
	}
	return plotLeft + (math.Log10(v)-lo)/(hi-lo)*(plotWidth-plotLeft-plotRight)
}

// picture is what the template draws.
type picture struct {
	Title         string
	Width, Height int
	Left, Right   int
	Bottom        float64
	Ticks         []tick
	Labels        []tick
	Marks         []mark
	Legend        []mark
}

type tick struct {
	X, Y float64
	Text string
}

func (p *plot) svg() string {
	if len(p.Lines) == 0 {
		return ""
	}
	pic := picture{Title: p.Title, Width: plotWidth, Left: plotLeft, Right: plotWidth - plotRight}
	var shown []string
	for i, l := range p.Lines {
		y := float64(plotTop + i*lineHeight + lineHeight/2)
		pic.Labels = append(pic.Labels, tick{Y: y, Text: l.Label})
		for _, d := range slices.Backward(l.dots) { // wye, the first, lies on top
			pic.Marks = append(pic.Marks, mark{
				X: p.x(d.f.Median), From: p.x(d.f.Least), To: p.x(d.f.Most), Y: y, Class: p.colours[d.peer.Name],
				Title: d.peer.Title + ": " + d.f.with(p.Write),
			})
			if !slices.Contains(shown, d.peer.Name) {
				shown = append(shown, d.peer.Name)
			}
		}
	}
	pic.Bottom = float64(plotTop + len(p.Lines)*lineHeight)
	pic.Height = int(pic.Bottom) + 34
	for v := math.Pow10(int(math.Floor(math.Log10(p.least)))); p.x(v) <= float64(pic.Right)+0.5; v *= 10 {
		pic.Ticks = append(pic.Ticks, tick{X: p.x(v), Text: p.Write(v)})
	}
	for _, b := range brokers() {
		if slices.Contains(shown, b.name) {
			n := len(pic.Legend)
			perRow := (plotWidth - 40) / legendStep
			pic.Legend = append(pic.Legend, mark{
				X: float64(24 + n%perRow*legendStep), Y: float64(44 + n/perRow*legendRow), Class: p.colours[b.name], Title: b.title,
			})
		}
	}
	var b strings.Builder
	if err := drawing().Execute(&b, pic); err != nil {
		return ""
	}
	return b.String()
}

// drawing is the template of a picture.
func drawing() *template.Template {
	return template.Must(template.New("plot.svg").ParseFS(templates, "templates/plot.svg"))
}
