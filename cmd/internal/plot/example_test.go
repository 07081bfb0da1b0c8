package plot_test

import (
	"bytes"
	"fmt"

	"github.com/wyemq/wye/cmd/internal/plot"
)

func ExampleLines() {
	l := plot.Lines{
		Title: "A publish", X: plot.Axis{Label: "subscribers", Log: true}, Y: plot.Axis{Label: "ns", Log: true},
		Series: []plot.Series{{Name: "in memory", Points: []plot.Point{{X: 1, Y: 900}, {X: 1000, Y: 250}}}},
	}
	svg := l.SVG()
	fmt.Println(bytes.HasPrefix(svg, []byte("<svg ")), bytes.Count(svg, []byte("<circle")))
	// Output: true 3
}
