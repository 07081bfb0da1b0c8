package frame

import "strconv"

// AppendCommand appends the command line.
func AppendCommand(b []byte, command string) []byte {
	b = append(b, command...)
	return append(b, '\n')
}

// AppendHeader appends one header line, escaped for v. What v cannot say is replaced, so that no
// value can add a line to a frame: LF and CR in 1.0 and Raw and NUL everywhere become a space, a
// colon in a name of 1.0 and Raw an underscore.
func AppendHeader[T string | []byte](b []byte, v Version, name string, value T) []byte {
	b = appendEscaped(b, v, name, true)
	b = append(b, ':')
	b = appendEscaped(b, v, value, false)
	return append(b, '\n')
}

// AppendInt appends a header line with a number.
func AppendInt(b []byte, name string, n int64) []byte {
	b = append(b, name...)
	b = append(b, ':')
	b = strconv.AppendInt(b, n, 10)
	return append(b, '\n')
}

// AppendBody appends the empty line, the body and NUL.
func AppendBody(b, body []byte) []byte {
	b = append(b, '\n')
	b = append(b, body...)
	return append(b, 0)
}

// Append appends the whole frame. It does not add a content-length. CONNECT, STOMP and CONNECTED are
// not escaped in any version.
func Append(b []byte, v Version, f *Frame) []byte {
	if f.Command == Connect || f.Command == Stomp || f.Command == Connected {
		v = Raw
	}
	b = AppendCommand(b, f.Command)
	for i := range f.Header {
		b = AppendHeader(b, v, f.Header[i].Name, f.Header[i].Value)
	}
	return AppendBody(b, f.Body)
}

func appendEscaped[T string | []byte](b []byte, v Version, s T, name bool) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		r := replacement(v, s[i], name)
		if r == "" {
			continue
		}
		b = append(b, s[start:i]...)
		b = append(b, r...)
		start = i + 1
	}
	return append(b, s[start:]...)
}

// replacement returns what stands for c on the wire; "": c itself.
func replacement(v Version, c byte, name bool) string {
	if c > '\\' || c > ':' && c < '\\' {
		return ""
	}
	escapes := v == V11 || v == V12
	switch c {
	case 0:
		return " "
	case '\n':
		if escapes {
			return `\n`
		}
		return " "
	case ':':
		if escapes {
			return `\c`
		}
		if name {
			return "_"
		}
	case '\\':
		if escapes {
			return `\\`
		}
	case '\r':
		switch v {
		case V12:
			return `\r`
		case V11: // has no escape for it and allows it
		default:
			return " "
		}
	}
	return ""
}
