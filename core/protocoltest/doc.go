// Package protocoltest is the conformance kit for [core.Protocol], and a [Pipe] to run protocols on
// in memory.
package protocoltest
