// Package disk is the engine that keeps everything in a directory.
package disk
