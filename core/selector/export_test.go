package selector

// The bounds of Parse.
const (
	MaxText     = maxText
	MaxDepth    = maxDepth
	MaxNodes    = maxNodes
	MaxSearched = maxSearched
)
