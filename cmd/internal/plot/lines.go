package plot

import (
	"math"
	"strconv"
	"strings"
)

// plotHeight is that of the area within the axes of Lines.
const plotHeight = 300

// Point is a measurement.
type Point struct {
	X, Y float64
	// Low and High are the ends of its whisker, around Y. Both zero: it has none.
	Low, High float64
}

// Series are points that belong together, in the order of X.
type Series struct {
	Name   string
	Points []Point
	// Dashed draws a line that is there for comparison, without marks.
	Dashed bool
}

// Lines is a plot of how something depends on something else.
type Lines struct {
	Title string
	// Note stands below, in small print; it is wrapped.
	Note   string
	X, Y   Axis
	Series []Series
}

// SVG draws the plot. The result is the same for the same plot.
func (l *Lines) SVG() []byte {
	names := make([]string, len(l.Series))
	var xs, ys []float64
	for i, s := range l.Series {
		names[i] = s.Name
		for _, p := range s.Points {
			if l.X.shows(p.X) && l.Y.shows(p.Y) {
				xs, ys = append(xs, p.X), append(ys, p.Y)
				if p.hasWhisker() {
					ys = append(ys, p.Low, p.High)
				}
			}
		}
	}
	seats, bottom := legend(names, titleRow+8)
	top := bottom + row + 10 // the label of Y is above its axis
	y := newScale(l.Y, ys, top+plotHeight, top)
	left := margin + tickWidth(&y) + 8
	x := newScale(l.X, xs, left, width-margin-14)
	notes := wrap(l.Note)
	c := newCanvas(top+plotHeight+2*row+12+float64(len(notes))*row, l.Title)

	for i, at := range seats {
		if l.Series[i].Dashed {
			c.line(at.x, at.y-4, at.x+16, at.y-4, l.class(i))
		} else {
			c.mark(i, at.x+8, at.y-4)
		}
		c.text(at.x+22, at.y, "", names[i])
	}
	c.text(margin, bottom+row-4, "n", l.Y.Label)
	for _, v := range y.ticks {
		c.line(left, y.at(v), x.to, y.at(v), "g")
		c.text(left-8, y.at(v)+4, "n e", l.Y.text(v))
	}
	for _, v := range x.ticks {
		c.line(x.at(v), top, x.at(v), top+plotHeight, "g")
		c.text(x.at(v), top+plotHeight+row, "n m", l.X.text(v))
	}
	c.line(left, top+plotHeight, x.to, top+plotHeight, "a")
	c.text((left+x.to)/2, top+plotHeight+2*row, "n m", l.X.Label)
	for i := range l.Series {
		l.draw(c, i, &x, &y)
	}
	for i, note := range notes {
		c.text(margin, top+plotHeight+2*row+float64(i+1)*row+4, "n", note)
	}
	return c.end()
}

// class returns the classes of the line of series i.
func (l *Lines) class(i int) string {
	return "l s" + strconv.Itoa(i%len(palette))
}

func (l *Lines) draw(c *canvas, i int, x, y *scale) {
	s := &l.Series[i]
	var path strings.Builder
	for _, p := range s.Points {
		if !l.X.shows(p.X) || !l.Y.shows(p.Y) {
			continue
		}
		verb := "L"
		if path.Len() == 0 {
			verb = "M"
		}
		path.WriteString(verb + number(x.at(p.X)) + " " + number(y.at(p.Y)))
	}
	if path.Len() == 0 {
		return
	}
	dash := ""
	if s.Dashed {
		dash = ` stroke-dasharray="5 4"`
	}
	c.WriteString(`<path class="` + l.class(i) + `"` + dash + ` d="` + path.String() + `"/>` + "\n")
	if s.Dashed {
		return
	}
	for _, p := range s.Points {
		if !l.X.shows(p.X) || !l.Y.shows(p.Y) {
			continue
		}
		if p.hasWhisker() {
			at := x.at(p.X)
			c.line(at, y.at(p.Low), at, y.at(p.High), "w")
			c.line(at-3, y.at(p.Low), at+3, y.at(p.Low), "w")
			c.line(at-3, y.at(p.High), at+3, y.at(p.High), "w")
		}
		c.mark(i, x.at(p.X), y.at(p.Y))
	}
}

func (p Point) hasWhisker() bool { return p.Low != 0 || p.High != 0 }

// tickWidth is what the widest number at s needs.
func tickWidth(s *scale) float64 {
	most := 0.0
	for _, v := range s.ticks {
		most = math.Max(most, textWidth(s.axis.text(v)))
	}
	return most
}
