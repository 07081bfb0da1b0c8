package selector_test

import (
	"fmt"

	"github.com/wyemq/wye/core/selector"
)

func Example() {
	s, err := selector.Parse("color IN ('red', 'blue') AND weight > 2500")
	if err != nil {
		fmt.Println(err)
		return
	}
	header := map[string]string{"color": "blue", "weight": "3000"} // as STOMP has them
	fmt.Println(s.Match(selector.LookupFunc(func(name string) (selector.Value, bool) {
		v, ok := header[name]
		return selector.String(v), ok
	})))

	_, err = selector.Parse("color = 'red' AND weight >> 2500")
	fmt.Println(err)
	// Output:
	// true
	// syntax error at position 27, near "> 2500": expected a name, a literal or (, found ">"
}
