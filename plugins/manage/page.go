package manage

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed page.html
var pageHTML string

// pagePolicy lets a page load the style sheet of the admin server, and have an icon that is not asked for.
const pagePolicy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page is a table for people. What comes from clients is in cells, which are escaped.
type page struct {
	Title   string
	Other   *cell // where else to look
	Columns []string
	Rows    [][]cell
}

// cell is a text, which may lead somewhere.
type cell struct{ Text, URL string }

// add adds a row, whose first cell leads to first.
func (p *page) add(first string, texts ...any) {
	row := make([]cell, len(texts))
	for i, text := range texts {
		row[i].Text = fmt.Sprint(text)
	}
	row[0].URL = first
	p.Rows = append(p.Rows, row)
}

// below is the path of what a virtual host has.
func below(vhost, what string) string { return "/vhosts/" + url.PathEscape(vhost) + "/" + what }

// show answers with body as JSON or, to a browser, with p.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, body any, p *page) {
	w.Header().Add("Vary", "Accept")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		answer(w, body)
		return
	}
	var b bytes.Buffer
	if err := h.page.Execute(&b, p); err != nil {
		h.log.Error("page not made", "path", r.URL.Path, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	_, _ = w.Write(b.Bytes())
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body)
}

// newPage reads the template, which is part of the program.
func newPage() *template.Template { return template.Must(template.New("page").Parse(pageHTML)) }
