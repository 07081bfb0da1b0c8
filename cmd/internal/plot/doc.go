// Package plot draws measurements as SVG: lines over linear or logarithmic axes, and rows of dots with whiskers.
//
//	Lines{Title, X, Y, Series} ─┐
//	                            ├─▶ SVG() ─▶ a page of text, the same for the same input
//	Dots{Title, Value, Rows} ───┘
//
// A picture stands by itself: it needs no script, no font and no other file, it follows the light or dark scheme of
// whoever looks at it, and no two series differ by colour alone. The package measures nothing and writes no files.
package plot
