// Package versus compares wye with other brokers: it is behind `make bench-peers`.
//
//	Run ─ flags ─▶ options ─┬ install ─▶ brokers ─ start, once a round ─▶ processes ─┐
//	                        └ rows ──────▶ wye bench, A B C A B C … ◀── their URLs ──┘
//	                                           │ Result of package load
//	                                           ▼
//	                                        Report ─▶ results.json ─▶ tables, plots, the README
//
// Each broker begins a round with an empty folder, on loopback, on two cores of its own where the machine has four.
// In each row the brokers take turns, so that what else the machine does meets all of them; the figure of a row is the
// median of the rounds, shown with the least and the greatest. What was lost, doubled, cut off or has failed is shown
// as such and never left out.
//
// The load is `wye bench` in a process of its own, so that any figure can be had again by hand: the arguments are in
// results.json. The package measures nothing itself, and knows of wye no more than how it is started.
package versus
