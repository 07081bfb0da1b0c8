//go:build !unix

package versus

import "os/exec"

// inGroup does nothing where there are no groups.
func inGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // it may be gone
