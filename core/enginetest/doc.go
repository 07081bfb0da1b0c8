// Package enginetest holds implementations of engine.Engine to what package engine promises. An engine is fit for wye
// when all checks pass:
//
//	func TestEngine(t *testing.T) {
//		enginetest.Test(t, func(t testing.TB) engine.Engine { return myengine.New(t.TempDir()) })
//	}
//
// Each check gets an engine of its own and closes it. The checks take real time where a promise is about time, so they
// also serve engines that use files or a network. One check compares the engine with a model of it, over random steps.
//
// An engine that is durable passes [TestDurable] as well: its store is opened again and again. What it promises over a
// crash is for its own tests: there is no crash that all engines have in common.
package enginetest
