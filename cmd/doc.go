// Package wyecmd is the wye program: flags, configuration, the fx graph, signals.
//
//	wye [flags] [command]
//	  └ Run ─┬ version, help          say something and end
//	         ├ config, plugins        build the graph on an engine in memory, look at it, end
//	         └ (none)                 build the graph, start it, wait for a signal, stop it
//
// A program with one more plugin is a copy of cmd/wye with one more option:
//
//	func main() { wyecmd.Main(corefx.Protocol(line.New)) }
//
// What the shipped program is made of is in shipped.go. Nothing else in the project imports this
// package, and it holds no feature.
package wyecmd
