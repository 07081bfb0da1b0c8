package disk

// reserveBlock is how many records an owner may hand out before the store has to know.
const reserveBlock = 2048

// unreserved reports whether something was given that the store does not know of.
func (l *log) unreserved() bool {
	for _, a := range l.areas {
		if a.given > a.durable {
			return true
		}
	}
	return false
}

// reserve raises what may be handed out, when it comes near to what was. The log's mutex is held.
func (l *log) reserve() {
	if l.owner == nil || !l.owner.looks {
		return
	}
	for _, a := range l.areas {
		if a.given+reserveBlock/2 > a.reserved {
			a.reserved = max(a.given, a.first()-1) + reserveBlock
		}
	}
}

// saved says that what is reserved is on disk.
func (l *log) saved() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.areas {
		a.durable = a.reserved
	}
}
