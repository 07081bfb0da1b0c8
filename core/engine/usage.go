package engine

// Usage is how much room a store takes.
type Usage struct {
	Bytes uint64 // on disk
	Free  uint64 // left for it; 0: nobody knows
}

// Sized is an optional interface of an [Engine] that stores on disk. Usage may be called at any time, concurrently, and
// does not wait for the disk.
type Sized interface {
	Usage() Usage
}
