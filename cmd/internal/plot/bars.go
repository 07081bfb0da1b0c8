package plot

import (
	"fmt"
	"math"
)

// Sizes of bars, in pixels.
const (
	barHeight = 14
	barGap    = 3
	groupGap  = 14
	mostLabel = 220
)

// Bar is one measurement. A value that is not a number says that there is none, which is drawn as a dash.
type Bar struct {
	Value float64
	// Low and High are the ends of its whisker. Both zero: it has none.
	Low, High float64
}

// Group is what is compared at one place.
type Group struct {
	Name string
	// Bars are those of Bars.Names, in that order.
	Bars []Bar
}

// Bars is a plot that compares; its bars lie, so that names can be read.
type Bars struct {
	Title string
	// Note stands below, in small print; it is wrapped.
	Note  string
	Value Axis
	// Names are those of the bars in each group: what is compared.
	Names  []string
	Groups []Group
}

// SVG draws the plot. The result is the same for the same plot.
func (b *Bars) SVG() []byte {
	label := 0.0
	var values []float64
	for _, g := range b.Groups {
		label = math.Max(label, textWidth(g.Name))
		for _, v := range g.Bars {
			values = append(values, v.Value)
			if v.hasWhisker() {
				values = append(values, v.Low, v.High)
			}
		}
	}
	seats, bottom := legend(b.Names, titleRow+8)
	left := margin + min(label, mostLabel) + 10
	x := newScale(b.Value, values, left, width-margin-50) // the number stands behind its bar
	top := bottom + 10
	area := groupGap / 2.0
	for _, g := range b.Groups {
		area += float64(len(g.Bars)*(barHeight+barGap) + groupGap)
	}
	notes := wrap(b.Note)
	c := newCanvas(top+area+2*row+12+float64(len(notes))*row, b.Title)

	for i, at := range seats {
		c.bar(i, at.x, at.y-11, 14, 12)
		c.text(at.x+22, at.y, "", b.Names[i])
	}
	for _, v := range x.ticks {
		c.line(x.at(v), top, x.at(v), top+area, "g")
		c.text(x.at(v), top+area+row, "n m", b.Value.text(v))
	}
	c.text((x.from+x.to)/2, top+area+2*row, "n m", b.Value.Label)
	y := top + groupGap/2.0
	for _, g := range b.Groups {
		middle := y + float64(len(g.Bars)*(barHeight+barGap)-barGap)/2
		c.text(left-10, middle+4, "e", g.Name)
		for i, v := range g.Bars {
			b.draw(c, i, v, &x, y)
			y += barHeight + barGap
		}
		y += groupGap
	}
	c.line(left, top, left, top+area, "a")
	for i, note := range notes {
		c.text(margin, top+area+2*row+float64(i+1)*row+4, "n", note)
	}
	return c.end()
}

func (b *Bars) draw(c *canvas, i int, v Bar, x *scale, y float64) {
	if !b.Value.shows(v.Value) {
		c.text(x.from+6, y+barHeight-3, "n", "–")
		return
	}
	c.bar(i, x.from, y, max(x.at(v.Value)-x.from, 1), barHeight)
	end := x.at(v.Value)
	if v.hasWhisker() {
		middle := y + barHeight/2.0
		c.line(x.at(v.Low), middle, x.at(v.High), middle, "w")
		c.line(x.at(v.Low), middle-3, x.at(v.Low), middle+3, "w")
		c.line(x.at(v.High), middle-3, x.at(v.High), middle+3, "w")
		end = max(end, x.at(v.High))
	}
	c.text(end+6, y+barHeight-3, "n", b.Value.text(v.Value))
}

func (v Bar) hasWhisker() bool { return v.Low != 0 || v.High != 0 }

// bar draws a rectangle in the colour of i.
func (c *canvas) bar(i int, x, y, w, h float64) {
	fmt.Fprintf(c, `<rect class="f%d" x="%s" y="%s" width="%s" height="%s" rx="2"/>`+"\n",
		i%len(palette), number(x), number(y), number(w), number(h))
}
