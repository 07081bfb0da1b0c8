module github.com/wyemq/wye

go 1.26

require (
	github.com/gorilla/websocket v1.5.3
	github.com/mochi-mqtt/server/v2 v2.7.9
)

require github.com/rs/xid v1.4.0 // indirect
