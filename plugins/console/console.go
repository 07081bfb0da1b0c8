package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// policy lets the pages run their own scripts and no others. The pages connect to whatever WebSocket
// address is typed into them.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ws: wss:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Listener is where clients of the broker connect.
type Listener struct {
	// Name is the listener's name in the configuration.
	Name string `json:"name"`
	// URL has the address that was bound: ws://127.0.0.1:61614. The pages replace an address that
	// means every address by the host they came from.
	URL string `json:"url"`
	// Protocols are those served there; empty: all.
	Protocols []string `json:"protocols"`
}

// Console serves the pages. It is an [http.Handler] for the path /demo and all below it.
type Console struct {
	listeners func() []Listener
	version   string
	assets    map[string]*asset // by path
}

var _ http.Handler = (*Console)(nil)

// New builds the pages. listeners says where the broker listens now, in the order of preference; it
// is called for each page that is opened, concurrently.
func New(listeners func() []Listener, version string) (*Console, error) {
	c := &Console{listeners: listeners, version: version, assets: make(map[string]*asset)}
	if err := c.addPages(); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if err := c.addStatic(); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return c, nil
}

// ServeHTTP implements [http.Handler]. Paths may end with slashes.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the demos are to be read: GET, not "+r.Method, http.StatusMethodNotAllowed)
		return
	}
	path := strings.TrimRight(r.URL.Path, "/")
	if path == "/demo/config.json" {
		c.serveConfig(w)
		return
	}
	a := c.assets[path]
	if a == nil {
		http.Error(w, "there is no "+path+"; there is: /demo /demo/websocket /demo/mqtt", http.StatusNotFound)
		return
	}
	a.serve(w, r)
}

// serveConfig tells the pages where to connect.
func (c *Console) serveConfig(w http.ResponseWriter) {
	list := c.listeners()
	if list == nil {
		list = []Listener{}
	}
	body, err := json.Marshal(struct {
		Version   string     `json:"version"`
		Listeners []Listener `json:"listeners"`
	}{c.version, list})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n'))
}
