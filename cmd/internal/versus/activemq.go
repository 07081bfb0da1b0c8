package versus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// jars are what ActiveMQ needs to serve STOMP and to store.
const jars = "activemq-broker activemq-client activemq-console activemq-kahadb-store activemq-openwire-legacy activemq-protobuf " +
	"activemq-stomp geronimo-jms_1.1_spec geronimo-j2ee-management-1.1-spec hawtbuf slf4j-api slf4j-nop"

// activeMQ has STOMP over TCP only: Debian's package is without the connector for WebSockets and without the codec of MQTT.
func activeMQ() *broker {
	return &broker{
		name: "activemq", title: "ActiveMQ", jit: true,
		about: "KahaDB with its defaults, which sync; 512 MB of heap, as Debian starts it; STOMP over TCP, for Debian's package has neither the connector for WebSockets nor the codec of MQTT",
		urls:  map[string]string{stomp: "stomp://127.0.0.1:{stomp}"},
		install: func(ctx context.Context, s *shop) (program, error) {
			java, err := exec.LookPath("java")
			if err != nil {
				return program{}, errors.New("it needs a Java runtime (Debian: apt-get install default-jre-headless)")
			}
			p, err := s.debian(ctx, "activemq")
			p.path = java
			return p, err
		},
		command: startActiveMQ,
	}
}

func startActiveMQ(s *site) (*command, error) {
	var class []string
	for name := range strings.FieldsSeq(jars) {
		jar, err := findJar(s.program.root, name+".jar")
		if err != nil {
			return nil, err
		}
		class = append(class, jar)
	}
	uri := fmt.Sprintf("broker:(stomp://127.0.0.1:%d)?useJmx=false&dataDirectory=%s", s.Port(stomp), s.Dir)
	return &command{path: s.program.path, args: []string{
		"-Xms512M", "-Xmx512M", fmt.Sprintf("-XX:ActiveProcessorCount=%d", s.cores),
		"-Dorg.apache.activemq.UseDedicatedTaskRunner=true", "-Dactivemq.home=" + s.Dir,
		"-cp", strings.Join(class, ":"), "org.apache.activemq.console.Main", "start", uri,
	}}, s.err
}

// findJar looks where the package is and where the machine has its own.
func findJar(root, name string) (string, error) {
	for _, r := range []string{root, "/"} {
		jar := filepath.Join(r, "usr/share/java", name)
		if _, err := os.Stat(jar); err == nil {
			return jar, nil
		}
	}
	return "", fmt.Errorf("%s is neither in the package nor in /usr/share/java", name)
}
