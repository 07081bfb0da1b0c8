// Package rate bounds how often, or how much, in a time.
//
//	Take(n, at) ──▶ wait: 0, or how long until n is within the rate
//
// A [Bucket] is one number in memory and one atomic step for each use: it is the time until which everything that was taken
// would keep somebody busy who goes exactly at the rate. It holds no clock, starts no goroutine, and never sleeps: who is
// too fast is told for how long to wait, or that it would be too long.
package rate
