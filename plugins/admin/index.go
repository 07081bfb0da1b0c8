package admin

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed index.html
var indexHTML string

//go:embed index.css
var indexCSS []byte

// indexPolicy lets the index page load its style sheet, and have an icon that is not asked for.
const indexPolicy = strictPolicy + "; style-src 'self'; img-src data:"

// addIndex adds the page that lists what is in t, written once, and its style sheet.
func addIndex(t *table) error {
	page, err := template.New("index").Parse(indexHTML)
	if err != nil {
		return fmt.Errorf("admin: index page: %w", err)
	}
	var entries []*Route
	for _, r := range t.list {
		if r.Title != "" {
			entries = append(entries, r)
		}
	}
	var buf bytes.Buffer
	if err := page.Execute(&buf, entries); err != nil {
		return fmt.Errorf("admin: index page: %w", err)
	}
	for _, r := range []*Route{
		{Path: "/", Handler: static("text/html; charset=utf-8", indexPolicy, buf.Bytes())},
		{Path: "/index.css", Handler: static("text/css; charset=utf-8", strictPolicy, indexCSS)},
	} {
		if t.exact[r.Path] != nil {
			return fmt.Errorf("admin: route %q is there twice", r.Path)
		}
		t.exact[r.Path] = r
	}
	return nil
}

func static(contentType, policy string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = w.Write(body)
	})
}
