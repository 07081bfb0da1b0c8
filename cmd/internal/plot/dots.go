package plot

import (
	"fmt"
	"html"
	"math"
	"slices"
)

// Sizes of dots, in pixels.
const (
	dotRow    = 30
	mostLabel = 220
)

// Dot is one measurement.
type Dot struct {
	// Value has no dot if it has no place on the axis.
	Value float64
	// Low and High are the ends of its whisker.
	Low, High float64
	// Title is shown to who points at the dot.
	Title string
}

// Row is what is compared at one place.
type Row struct {
	Name string
	// Dots are those of Dots.Names, in that order.
	Dots []Dot
}

// Dots is a plot that compares. It lies, so that names can be read.
type Dots struct {
	Title string
	Value Axis
	// Names say what is compared. Each has its own colour in every plot with these names; who has no dot is left out.
	Names []string
	Rows  []Row
}

// SVG draws the plot. The result is the same for the same plot.
func (d *Dots) SVG() []byte {
	label := 0.0
	var values []float64
	seen := make([]bool, len(d.Names))
	for _, r := range d.Rows {
		label = math.Max(label, textWidth(r.Name))
		for i, v := range r.Dots {
			if d.Value.shows(v.Value) {
				values = append(values, v.Value, v.Low, v.High)
				seen[i] = true
			}
		}
	}
	var shown []int
	var names []string
	for i, name := range d.Names {
		if seen[i] {
			shown, names = append(shown, i), append(names, name)
		}
	}
	seats, bottom := legend(names, titleRow+8)
	left := margin + min(label, mostLabel) + 10
	x := newScale(d.Value, values, left+10, width-margin-14)
	top, area := bottom+10, float64(len(d.Rows)*dotRow)
	c := newCanvas(top+area+2*row+12, d.Title)
	for i, at := range seats {
		c.mark(shown[i], at.x+8, at.y-4)
		c.text(at.x+22, at.y, "", names[i])
	}
	for _, v := range x.ticks {
		c.line(x.at(v), top, x.at(v), top+area, "g")
		c.text(x.at(v), top+area+row, "n m", d.Value.text(v))
	}
	c.text((x.from+x.to)/2, top+area+2*row, "n m", d.Value.Label)
	c.line(left, top+area, x.to, top+area, "a")
	for i, r := range d.Rows {
		y := top + float64(i*dotRow) + dotRow/2
		c.text(left-10, y+4, "e", r.Name)
		c.line(left, y, x.to, y, "g")
		for i, v := range slices.Backward(r.Dots) { // the first lies on top
			if d.Value.shows(v.Value) {
				c.dot(i, &x, v, y)
			}
		}
	}
	return c.end()
}

// dot draws the dot of name i with its whisker.
func (c *canvas) dot(i int, x *scale, v Dot, y float64) {
	fmt.Fprintf(c, "<g><title>%s</title>", html.EscapeString(v.Title))
	c.line(x.at(v.Low), y, x.at(v.High), y, fmt.Sprintf("l s%d", i%len(palette)))
	c.mark(i, x.at(v.Value), y)
	c.WriteString("</g>\n")
}
