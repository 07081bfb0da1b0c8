package jwt

// ParseKeys reads PEM or a key set, and says which algorithms its keys check.
func ParseKeys(data []byte, secrets bool) (algorithms [][]string, err error) {
	keys, err := parseKeys(data, secrets)
	for i := range keys {
		algorithms = append(algorithms, keys[i].algorithms)
	}
	return algorithms, err
}
