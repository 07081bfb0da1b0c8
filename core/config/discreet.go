package config

import (
	"errors"
	"regexp"
)

// What a text in quotes has of a URL that is for its server alone: all up to the last @, which may be a password with any
// character in it, and the query. Outside of quotes it ends with the next one.
var (
	userinfo = regexp.MustCompile(`://(?:[^"\\]|\\.)*@`)
	query    = regexp.MustCompile(`(://(?:[^"\\?]|\\.)*\?)(?:[^"\\]|\\.)+`)
)

// discreet blanks the user, the password and the query of URLs in a text that has its values in quotes.
func discreet(text string) string {
	text = userinfo.ReplaceAllLiteralString(text, "://[redacted]@")
	return query.ReplaceAllString(text, "${1}[redacted]")
}

// discreetError is err, without what discreet blanks.
func discreetError(err error) error {
	if text := discreet(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}
