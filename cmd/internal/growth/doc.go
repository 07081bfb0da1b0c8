// Package growth measures how the cost of the same operation grows with what is around it, and says which curve grows
// faster than its output: one publish while there are more subscribers, filters, queues, connections, messages.
//
//	Curves ─▶ Run ─▶ a broker in this process ─▶ Point{X, cost per output} ─▶ Judge ─▶ results.json, *.svg, README.md
//
// Costs are processor time of the whole process, clients included, and allocations: both say more than the time on
// the clock where other programs run. Most curves enter through core.Session; bodies and connections go over real
// sockets. The package compares with no other broker; that is for package versus.
package growth
