package wyecmd_test

import (
	"context"
	"os"

	wyecmd "github.com/wyemq/wye/cmd"
	"github.com/wyemq/wye/core/corefx"
	"github.com/wyemq/wye/protocols/line"
)

// A program with one more protocol. Its main function is one line, wyecmd.Main(corefx.Protocol(line.New));
// Run does the same without ending the process.
func ExampleRun() {
	wyecmd.Run(context.Background(), []string{"plugins"}, os.Stdout, os.Stderr, corefx.Protocol(line.New))
	// Output:
	// protocols
	//   line         subprotocols line
	//   mqtt         subprotocols mqtt, mqttv3.1; paths /mqtt
	//   stomp        subprotocols v12.stomp, v11.stomp, v10.stomp, stomp; paths /stomp, /ws
	// transports
	//   tcp://, tls://
	//   ws://, wss://
	// engines
	//   disk
	//   memory
	// authenticators
	//   clientcert
	//   http
	//   jwt
	//   tickets
	//   users
	// authorizers
	//   acl
	// observers
	//   audit
	// runners
	//   acl.ACL
	//   admin.Server
	//   audit.Log
	//   core.Broker
	//   httpauth.Authenticator
	//   jwt.Authenticator
	//   mqtt.Protocol
	//   users.Authenticator
}
