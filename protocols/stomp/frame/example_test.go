package frame_test

import (
	"fmt"

	"github.com/wyemq/wye/protocols/stomp/frame"
)

func ExampleParser() {
	p := frame.NewParser(frame.DefaultLimits())
	p.SetVersion(frame.V12)
	for _, piece := range []string{"SEND\ndestina", "tion:/queue/a\n\nhello\x00\nBEGIN\ntransaction:t\n\n\x00"} {
		for data := []byte(piece); len(data) > 0; {
			f, rest, err := p.Next(data)
			if err != nil {
				fmt.Println(err)
				return
			}
			if f != nil {
				fmt.Printf("%s %q\n", f.Command, f.Body)
			}
			data = rest
		}
	}
	// Output:
	// SEND "hello"
	// BEGIN ""
}
