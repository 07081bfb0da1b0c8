// Package corefx connects wye's parts by fx (go.uber.org/fx). With cmd it is the only package that knows
// fx; everything it connects has plain constructors.
//
//	Protocol(ctor) Transport(…) Authenticator(ctor) Authorizer(ctor) Interceptor(ctor) Runner(ctor)
//	Engine(…) Config(key, default)
//	        │ value groups, which fx keeps in no order
//	        ▼
//	Module: config.Load → log → engine by kind → Broker → Mux → a transport per listener → Server
//
// Order always comes from the configuration, by name; a name that is unknown, missing or doubled
// fails the start. The [Server] is the life of the process: runners, then listeners; and back.
//
// A [Reloader] reads the configuration again while the program runs. Whoever is [Reloadable] prepares its section, which
// can fail and changes nothing; then all apply theirs, which cannot fail, or none does:
//
//	func (p *Protocol) Prepare(next Config) (core.Change, error) {
//		words, err := os.ReadFile(next.File)
//		return core.Change{Apply: func() { p.words.Store(&words) }}, err
//	}
//
// It holds no feature: what a broker does is in core.
package corefx
