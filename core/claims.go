package core

import "sync"

// Claims are what credentials say of their bearer beside name and groups: those of a token, by name. They do
// not change, and may be used from many goroutines.
type Claims struct {
	values map[string]any
	memo   sync.Map
}

// NewClaims makes Claims of values as encoding/json decodes them. It keeps the map.
func NewClaims(values map[string]any) *Claims { return &Claims{values: values} }

// Get returns the claim called name, and whether there is one. It may be called on nil.
func (c *Claims) Get(name string) (any, bool) {
	if c == nil {
		return nil, false
	}
	v, ok := c.values[name]
	return v, ok
}

// Memo returns what work makes of c. It is called once for each key (in a race perhaps twice): so a plugin does
// for each login what would be too much for each message. Keys are of a type of the plugin's own.
func (c *Claims) Memo(key any, work func(*Claims) any) any {
	if v, ok := c.memo.Load(key); ok {
		return v
	}
	v, _ := c.memo.LoadOrStore(key, work(c))
	return v
}
