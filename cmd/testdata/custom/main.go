// Command custom is wye with one more protocol: all it takes.
package main

import (
	wyecmd "github.com/wyemq/wye/cmd"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/protocols/line"
)

func main() { wyecmd.Main(corefx.Protocol(line.New)) }
