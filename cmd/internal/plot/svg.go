package plot

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
	"unicode/utf8"
)

// Sizes of everything, in pixels.
const (
	width    = 760
	margin   = 16
	row      = 18  // of the legend and of notes
	perRune  = 6.6 // of text, about
	titleRow = 26
)

// palette are the colours of series, for light and for dark; they can be told apart by those who see few colours.
var palette = [][2]string{
	{"#0b62c4", "#6cb2ff"},
	{"#c4480b", "#ff9a5c"},
	{"#0a7d57", "#3fd0a0"},
	{"#9a3d8f", "#e59ad9"},
	{"#7a6200", "#e2c54a"},
	{"#3a4653", "#b9c4d0"},
	{"#c0143c", "#ff8aa0"},
	{"#2a7f8c", "#7fdbe8"},
	{"#8a6d5a", "#c9ad98"},
}

// canvas gathers an SVG.
type canvas struct {
	bytes.Buffer

	height float64
}

// newCanvas begins a picture with its title, and a note for those who cannot see it.
func newCanvas(height float64, title string) *canvas {
	c := &canvas{height: height}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %s" width="%d" height="%s" role="img" aria-label="%s">`+"\n",
		width, number(height), width, number(height), html.EscapeString(title))
	c.WriteString("<style>\n" +
		"svg{color-scheme:light dark}text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}" +
		".t{font-size:15px;font-weight:600}.n{fill:#59636e}.e{text-anchor:end}.m{text-anchor:middle}" +
		".b{fill:#fff}.g{stroke:#d1d9e0;fill:none}.a{stroke:#818b98;fill:none}.w{stroke:#1f2328;fill:none;stroke-width:1.25}" +
		".l{fill:none;stroke-width:2;stroke-linejoin:round}\n")
	for i, p := range palette {
		fmt.Fprintf(c, ".s%d{stroke:%s}.f%d{fill:%s}", i, p[0], i, p[0])
	}
	c.WriteString("\n@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}.b{fill:#0d1117}" +
		".g{stroke:#30363d}.a{stroke:#6e7681}.w{stroke:#e6edf3}\n")
	for i, p := range palette {
		fmt.Fprintf(c, ".s%d{stroke:%s}.f%d{fill:%s}", i, p[1], i, p[1])
	}
	c.WriteString("}\n</style>\n")
	fmt.Fprintf(c, `<rect class="b" width="%d" height="%s" rx="6"/>`+"\n", width, number(height))
	c.text(margin, titleRow, "t", title)
	return c
}

func (c *canvas) text(x, y float64, class, s string) {
	fmt.Fprintf(c, `<text x="%s" y="%s"`, number(x), number(y))
	if class != "" {
		fmt.Fprintf(c, ` class="%s"`, class)
	}
	fmt.Fprintf(c, ">%s</text>\n", html.EscapeString(s))
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(c, `<path class="%s" d="M%s %sL%s %s"/>`+"\n", class, number(x1), number(y1), number(x2), number(y2))
}

// mark draws the sign of series i.
func (c *canvas) mark(i int, x, y float64) {
	class := "f" + strconv.Itoa(i%len(palette))
	at := func(dx, dy float64) string { return number(x+dx) + " " + number(y+dy) }
	switch i % 4 {
	case 0:
		fmt.Fprintf(c, `<circle class="%s" cx="%s" cy="%s" r="3.5"/>`+"\n", class, number(x), number(y))
	case 1:
		fmt.Fprintf(c, `<path class="%s" d="M%sh6v6h-6z"/>`+"\n", class, at(-3, -3))
	case 2:
		fmt.Fprintf(c, `<path class="%s" d="M%sL%sL%sz"/>`+"\n", class, at(0, -4.5), at(4, 3), at(-4, 3))
	default:
		fmt.Fprintf(c, `<path class="%s" d="M%sL%sL%sL%sz"/>`+"\n", class, at(0, -4.5), at(4.5, 0), at(0, 4.5), at(-4.5, 0))
	}
}

func (c *canvas) end() []byte {
	c.WriteString("</svg>\n")
	return c.Bytes()
}

// wrap cuts s into rows that are about as wide as the picture.
func wrap(s string) []string {
	const most = (width - 2*margin) / perRune
	var rows []string
	for float64(utf8.RuneCountInString(s)) > most {
		cut, seen := 0, 0
		for i, r := range s {
			if seen++; float64(seen) > most {
				break
			}
			if r == ' ' {
				cut = i
			}
		}
		if cut == 0 {
			break
		}
		rows, s = append(rows, s[:cut]), s[cut+1:]
	}
	if s != "" {
		rows = append(rows, s)
	}
	return rows
}

// textWidth is about how wide s is.
func textWidth(s string) float64 { return perRune * float64(utf8.RuneCountInString(s)) }

// number writes a coordinate, with a tenth of a pixel.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// seat is a place in a legend.
type seat struct{ x, y float64 }

// legend seats names in rows and returns where it ends.
func legend(names []string, top float64) (seats []seat, bottom float64) {
	x, y := float64(margin), top+row-5
	for _, name := range names {
		need := 22 + textWidth(name) + 14
		if x > margin && x+need > width-margin {
			x, y = margin, y+row
		}
		seats = append(seats, seat{x, y})
		x += need
	}
	if len(names) == 0 {
		return nil, top
	}
	return seats, y + 5
}
