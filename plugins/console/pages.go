package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
)

//go:embed pages
var pageFiles embed.FS

// page is one of the demos.
type page struct {
	path, file, title string
	scripts           []string // below static/npm
	destination       string   // STOMP
	topic             string   // MQTT
	debug             bool     // the log of frames is open
}

// The libraries, below static/npm.
const (
	stompModern  = "@stomp/stompjs@7.5.0/bundles/stomp.umd.min.js"
	stompClassic = "stompjs@2.3.3/lib/stomp.min.js"
	paho         = "paho-mqtt@1.1.0/paho-mqtt-min.js"
)

// library is a line about a library's licence.
type library struct{ Name, Licence string }

// pages lists the demos, in the order of the navigation.
func pages() []page {
	return []page{
		{
			path: "/demo", file: "demo.html", title: "Side by side", scripts: []string{stompModern, stompClassic, paho},
			destination: "/topic/demo.chat", topic: "demo/chat",
		},
		{
			path: "/demo/websocket", file: "websocket.html", title: "STOMP", scripts: []string{stompModern, stompClassic},
			destination: "/queue/test", debug: true,
		},
		{
			path: "/demo/mqtt", file: "mqtt.html", title: "MQTT", scripts: []string{paho}, topic: "test", debug: true,
		},
	}
}

// nav is a link of the navigation.
type nav struct {
	Path, Title string
	Here        bool
}

// addPages writes the pages, once.
func (c *Console) addPages() error {
	all, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return fmt.Errorf("parse pages: %w", err)
	}
	for _, p := range pages() {
		var links []nav
		for _, other := range pages() {
			links = append(links, nav{other.path, other.title, other.path == p.path})
		}
		var buf bytes.Buffer
		err := all.ExecuteTemplate(&buf, p.file, map[string]any{
			"Title": p.title, "Scripts": p.scripts, "Nav": links, "Destination": p.destination, "Topic": p.topic, "Debug": p.debug,
			"Libraries": []library{
				{"@stomp/stompjs", "@stomp/stompjs@7.5.0/LICENSE"},
				{"stompjs", "stompjs@2.3.3/LICENSE.txt"},
				{"paho-mqtt (EPL)", "paho-mqtt@1.1.0/epl-v10"},
				{"paho-mqtt (EDL)", "paho-mqtt@1.1.0/edl-v10"},
			},
		})
		if err != nil {
			return fmt.Errorf("page %s: %w", p.path, err)
		}
		c.assets[p.path] = newAsset("text/html; charset=utf-8", buf.Bytes())
	}
	return nil
}
