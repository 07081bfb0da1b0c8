package room_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/wyemq/wye/core/internal/room"
)

const meminfo = "MemTotal:        8000000 kB\nMemFree:          123 kB\n"

func files(of map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range of {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestTotal(t *testing.T) {
	const machine = 8000000 << 10
	for name, c := range map[string]struct {
		files  map[string]string
		want   int64
		source string
	}{
		"nothing known":  {nil, 0, "machine"},
		"machine":        {map[string]string{"proc/meminfo": meminfo}, machine, "machine"},
		"broken meminfo": {map[string]string{"proc/meminfo": "MemTotal: many kB\n"}, 0, "machine"},
		"version 2": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/system.slice/wye.service\n",
			"sys/fs/cgroup/system.slice/wye.service/memory.max": "1073741824\n", "sys/fs/cgroup/system.slice/memory.max": "max\n",
		}, 1 << 30, "cgroup"},
		"version 2, less above": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "1073741824\n", "sys/fs/cgroup/a/memory.max": "536870912\n",
		}, 1 << 29, "cgroup"},
		"version 2, in a container that sees the path of the host": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/docker/0123\n", "sys/fs/cgroup/memory.max": "1073741824\n",
		}, 1 << 30, "cgroup"},
		"version 2, above the mount": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "1073741824\n",
		}, 1 << 30, "cgroup"},
		"version 2, no limit": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n",
		}, machine, "machine"},
		"version 1": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "12:cpu,cpuacct:/x\n7:memory:/wye\n0::/\n",
			"sys/fs/cgroup/memory/wye/memory.limit_in_bytes": "1073741824\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 1 << 30, "cgroup"},
		"version 1, no limit": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "7:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, machine, "machine"},
		"more than the machine has": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "99999999999999\n",
		}, machine, "machine"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, source := room.Total(files(c.files)); got != c.want || source != c.source {
				t.Errorf("%d by %s, want %d by %s", got, source, c.want, c.source)
			}
		})
	}
}

// What this machine says is a size that a machine may have.
func TestHere(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing is known but on Linux")
	}
	total, source := room.Total(os.DirFS("/"))
	t.Logf("%d MiB by %s", total>>20, source)
	if total < 64<<20 || total > 1<<46 {
		t.Errorf("%d bytes by %s", total, source)
	}
}

func Example() {
	root := files(map[string]string{
		"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n",
	})
	total, source := room.Total(root)
	fmt.Println(total>>20, "MiB by", source)
	// Output: 1024 MiB by cgroup
}
