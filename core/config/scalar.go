package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// units of sizes, the longest first where one is the end of another.
var units = []struct {
	name   string
	factor int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

// isScalar says whether a value of type t is written as one word.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return true
	default:
		return false
	}
}

// isSize says whether the number at key counts bytes, which may be written with a unit. The name tells.
func isSize(key string) bool {
	for word := range strings.SplitSeq(last(key), "_") {
		switch word {
		case "bytes", "size", "buffer", "body", "free", "memory":
			return true
		}
	}
	return false
}

var durationType = reflect.TypeFor[time.Duration]()

// kindOf says what a value must be, for messages.
func kindOf(key string, t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 30s or 5m"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 && isSize(key):
		return "a size in bytes such as 65536 or 64KiB"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a whole number"
	default:
		return "a single value"
	}
}

// setScalar reads text into v.
func setScalar(key string, v reflect.Value, text, enum string) error {
	bad := fmt.Errorf("must be %s, is %q", kindOf(key, v.Type()), text)
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%w, is %q", err, text)
		}
		return nil
	}
	if err := checkEnum(text, enum); err != nil {
		return err
	}
	if v.Type() == durationType {
		d, err := time.ParseDuration(text)
		if err != nil {
			return bad
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return bad
		}
		v.SetBool(text == "true")
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return bad
		}
		v.SetFloat(f)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := parseInt(key, text)
		if err != nil || v.OverflowInt(n) {
			return bad
		}
		v.SetInt(n)
	default: // isScalar leaves only unsigned numbers
		n, err := parseInt(key, text)
		if err != nil || n < 0 || v.OverflowUint(uint64(n)) {
			return bad
		}
		v.SetUint(uint64(n))
	}
	return nil
}

// checkEnum holds text against the values that a tag permits.
func checkEnum(text, enum string) error {
	if enum == "" {
		return nil
	}
	for permitted := range strings.SplitSeq(enum, ",") {
		if text == permitted {
			return nil
		}
	}
	permitted := strings.ReplaceAll(strings.TrimPrefix(enum, ","), ",", ", ")
	if strings.HasPrefix(enum, ",") {
		permitted += ", or empty"
	}
	return fmt.Errorf("must be one of %s, is %q", permitted, text)
}

var errRange = errors.New("out of range")

// parseInt reads a whole number, and with a unit if it counts bytes.
func parseInt(key, text string) (int64, error) {
	factor := int64(1)
	if isSize(key) {
		for _, u := range units {
			if number, ok := strings.CutSuffix(text, u.name); ok {
				text, factor = strings.TrimSpace(number), u.factor
				break
			}
		}
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	if err != nil {
		return 0, err
	}
	if n > math.MaxInt64/factor || n < math.MinInt64/factor {
		return 0, errRange
	}
	return n * factor, nil
}

// formatScalar is the inverse of setScalar, as short as it gets.
func formatScalar(key string, v reflect.Value) string {
	if s, ok := secret(v); ok {
		return s
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	switch {
	case v.Type() == durationType:
		return formatDuration(time.Duration(v.Int()))
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.Kind() == reflect.Float32 || v.Kind() == reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	case v.CanInt():
		return formatInt(key, v.Int())
	default:
		return strconv.FormatUint(v.Uint(), 10)
	}
}

func formatInt(key string, n int64) string {
	if isSize(key) && n > 0 {
		for _, u := range []int{2, 1, 0} { // GiB, MiB, KiB
			if n%units[u].factor == 0 {
				return strconv.FormatInt(n/units[u].factor, 10) + units[u].name
			}
		}
	}
	return strconv.FormatInt(n, 10)
}

func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
