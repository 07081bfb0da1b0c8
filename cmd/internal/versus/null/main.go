// Command null is the floor under every broker: MQTT packets come in on a WebSocket, and the same bytes are framed
// again and written to everybody who has subscribed to anything. It looks at no topic, keeps nothing and promises
// nothing; what a broker costs beyond this is what its promises cost.
//
//	null 127.0.0.1:9001
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: null host:port")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "null:", serve(os.Args[1]))
	os.Exit(1)
}

// serve serves until the process is killed, or something is wrong.
func serve(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	var a audience
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go newConn(c, &a).serve() // ends with its connection, or with the process
	}
}
