// Command wye is a message broker that speaks STOMP, MQTT and more on one WebSocket endpoint.
package main

import wyecmd "github.com/wyemq/wye/cmd"

func main() { wyecmd.Main() }
