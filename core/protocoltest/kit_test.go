package protocoltest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/wyemq/wye/core/protocoltest"
)

// bugEnv names the mistake that TestFull makes in a process of its own: some end in a panic.
const bugEnv = "PROTOCOLTEST_BUG"

func TestFull(t *testing.T) {
	protocoltest.Test(t, fullSuite(os.Getenv(bugEnv), protocoltest.PipeOptions{}))
}

func TestFullOnStream(t *testing.T) {
	protocoltest.Test(t, fullSuite("", protocoltest.PipeOptions{Stream: true}))
}

func FuzzFull(f *testing.F) {
	protocoltest.Fuzz(f, fullSuite("", protocoltest.PipeOptions{}))
}

// TestKitFindsMistakes makes mistakes in what package line has not got; those that it could make are
// in its own mutants test.
func TestKitFindsMistakes(t *testing.T) {
	if os.Getenv(bugEnv) != "" {
		t.Skip("this is the process with the mistake")
	}
	for bug, check := range map[string]string{
		"a message is a frame":           "Split",
		"one frame of a message":         "Coalesced",
		"the password is not passed on":  "Credentials",
		"the client id is not passed on": "Takeover",
		"deliveries are kept":            "SlowConsumer",
		"goodbye is an error":            "Disconnect",
		"acks are not waited for":        "Acks",
		"acks are swallowed":             "Acks",
		"acks are nacks":                 "Acks",
		"repetitions are not marked":     "Acks",
		"consumers browse":               "Queue",
		"headers are lost":               "Headers",
		"headers come backwards":         "Headers",
		"repeated headers are lost":      "Headers",
		"the confirmation comes early":   "Confirms",
		"every confirmation is good":     "Confirms",
		"never ready":                    "Describe",
		"ends early":                     "Describe",
		"run fails":                      "Describe",
	} {
		t.Run(strings.ReplaceAll(bug, " ", "_"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestFull$/^"+check+"$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), bugEnv+"="+bug)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestFull/"+check) {
				t.Errorf("%s does not find it: %v\n%s", check, err, out)
			}
		})
	}
}
