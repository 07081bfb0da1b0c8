package users

// Format returns what Edit writes.
func Format(all []User) (string, error) { return format(all) }
