package stomp

// Place is a destination as Read sees it.
type Place struct {
	Name, Group string
	Exists      bool
	p           place
}

// Read reads a destination header as a listener of this dialect does.
func Read(d Dialect, defaultKind, text string, filter bool) ([]Place, error) {
	r := reader{dialect: d, defaultKind: defaultKind, temp: func(name string) string { return "temp/TOKEN/" + name }}
	list, err := r.all(text, filter, "")
	var all []Place
	for _, p := range list {
		all = append(all, Place{p.name, p.group, p.exists, p})
	}
	return all, err
}

// Print writes a canonical name as a subscriber who wrote text sees it.
func Print(d Dialect, defaultKind, name string, to Place) string {
	r := reader{dialect: d, defaultKind: defaultKind}
	return string(r.append(nil, name, to.p.spelling))
}
