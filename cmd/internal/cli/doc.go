// Package cli is what the commands of this program, and those beside it, have in common: help goes to stdout, what is
// wrong to stderr, and the exit code tells which it was.
package cli
