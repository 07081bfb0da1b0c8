package tries

// Entries returns how many there are in all tables.
func (g *Guard) Entries() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.addresses.entries) + len(g.users.entries) + len(g.good.entries)
}
