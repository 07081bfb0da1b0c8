// Package room finds out how much memory a process may use: that of the machine, or less if a control group (cgroup version 1
// or 2, as of a container or a systemd unit) says so. It reads files of Linux; elsewhere nothing is known.
//
// It sets nothing.
package room
