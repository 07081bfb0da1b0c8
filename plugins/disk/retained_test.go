package disk_test

import (
	"testing"

	"github.com/wyemq/wye/plugins/disk"
)

// TestRetainedOfEarlierVersion: a store that does not say how many bytes are retained is counted when it is opened.
func TestRetainedOfEarlierVersion(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir)
	retain(t, e, 300)
	if err := disk.ForgetBytes(e); err != nil {
		t.Fatal(err)
	}
	shut(t, e)
	for range 2 { // counted, and stored
		e = open(t, dir)
		if n, bytes := e.Retained().Size(); n != 300 || bytes != 300*100 {
			t.Errorf("%d topics with %d bytes", n, bytes)
		}
		retain(t, e, 1) // takes the place of another
		shut(t, e)
	}
}
