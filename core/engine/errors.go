package engine

import "errors"

// Errors every implementation returns (wrapped). The core decides on these and on nothing else.
var (
	// ErrNotOwner: the log is owned by another node, was taken over, released or dropped. Nothing of the batch was
	// applied.
	ErrNotOwner = errors.New("engine: not the owner")
	// ErrConflict: a Put or Delete with Rev found another revision. Nothing of the batch was applied.
	ErrConflict = errors.New("engine: changed meanwhile")
	// ErrUnavailable: no quorum, no connection, or closed. Nothing was applied. The client gets an error or is kept
	// waiting; it never gets a receipt.
	ErrUnavailable = errors.New("engine: unavailable")
	// ErrUnknown: the outcome is not known (timeout after sending). To commit again with the same MsgIDs is harmless.
	ErrUnknown = errors.New("engine: outcome unknown")
	// ErrScope: the batch spans more than Caps allows (number of ops, or logs). Nothing was applied.
	ErrScope = errors.New("engine: batch beyond the atomic scope")
	// ErrFull: a configured limit (bytes, messages) was reached. Flow control in the core should have stopped before.
	ErrFull = errors.New("engine: full")
)
