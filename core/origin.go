package core

import (
	"fmt"
	"strings"
)

// CheckOrigin says what is wrong with an origin that is to be allowed.
func CheckOrigin(pattern string) error {
	if pattern != "*" && pattern != "null" && !strings.Contains(pattern, "://") || strings.Count(pattern, "*") > 1 {
		return fmt.Errorf("must be scheme://host[:port] with at most one *, is %q", pattern)
	}
	return nil
}

// MatchOrigin reports whether the origin of a page, as browsers send it, is one that is allowed: "https://app.example.com",
// "https://*.example.com", where "*" stands for one or more characters other than "/", or "*".
func MatchOrigin(pattern, origin string) bool {
	if pattern == "*" {
		return true
	}
	pattern, origin = strings.ToLower(strings.TrimRight(pattern, "/")), strings.ToLower(origin)
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == origin
	}
	if !strings.HasPrefix(origin, before) || !strings.HasSuffix(origin, after) || len(origin) <= len(before)+len(after) {
		return false
	}
	return !strings.Contains(origin[len(before):len(origin)-len(after)], "/")
}
