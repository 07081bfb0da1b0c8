package users

// Format is what Edit writes. Fuzzing with files in between would wait for the disk.
func Format(all []User) (string, error) { return format(all) }
