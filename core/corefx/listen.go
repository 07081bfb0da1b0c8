package corefx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/core/config"
)

// listen binds all listeners and, if none failed, serves them.
func (s *Server) listen(start, run context.Context) error {
	s.serve = func(l *Listener) {
		var ctx context.Context
		ctx, l.close = context.WithCancel(run)
		s.serving.Go(func() {
			defer l.close()
			err := l.Transport.Serve(ctx, l.handler)
			switch {
			case err == nil:
			case ctx.Err() != nil && run.Err() == nil:
				s.log.Warn("listener that was removed has not ended well", "listener", l.Transport.Name(), "error", err)
			default:
				s.fail(fmt.Errorf("%s: %w", l.Key, err))
			}
		})
	}
	all := s.listeners.All()
	var errs []error
	for _, l := range all {
		var err error
		if l.addr, err = l.Transport.Listen(start); err == nil {
			err = s.check(l)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		s.stopListeners() // so that Serve lets the address go at once
	}
	for _, l := range all {
		if l.addr == nil {
			continue
		}
		s.serve(l)
		if len(errs) == 0 {
			s.tell(l)
			s.warn(l)
		}
	}
	return errors.Join(errs...)
}

// tell says where a listener listens.
func (s *Server) tell(l *Listener) {
	s.log.Info("listening", "listener", l.Transport.Name(), "address", l.Scheme+"://"+l.addr.String(),
		"protocols", strings.Join(l.Protocols(), ","))
}

// check refuses a listener that others can reach while there is nobody who could log in from there: either it is a
// mistake, or it has to be said who may.
func (s *Server) check(l *Listener) error {
	if !reachable(l.addr) || s.anonymous == core.AnonymousAlways || core.Guarded(s.users) {
		return nil
	}
	return fmt.Errorf("%s: %s://%s can be reached from other machines, and nobody could log in from there: add a user "+
		"(wye user add NAME), configure another authenticator below auth, or let anybody in with auth.anonymous: true; "+
		"for this machine alone use a loopback address such as 127.0.0.1", l.Key, l.Scheme, l.addr)
}

// warn tells of a listener that everybody may use.
func (s *Server) warn(l *Listener) {
	if s.anonymous == core.AnonymousAlways && reachable(l.addr) && !core.Guarded(s.users) {
		s.log.Warn("anybody can log in: auth.anonymous is true", "listener", l.Transport.Name(), "address", l.addr.String())
	}
}

// reachable reports whether other machines may reach an address.
func reachable(addr net.Addr) bool {
	a, ok := addr.(*net.TCPAddr)
	return ok && !a.IP.IsLoopback()
}

// prepare binds the listeners that next has and the program has not, and prepares the settings of the others. A listener
// with another uri is another one. Those that next has not end, in order, when the change is applied: their clients are
// told that the server shuts down.
func (s *Server) prepare(ctx context.Context, next *config.Config) (core.Change, error) {
	old := s.listeners.All()
	var all, fresh []*Listener
	var steps []func()
	var errs []error
	for _, inst := range enabled(next) {
		if i := slices.IndexFunc(old, func(l *Listener) bool { return l.is(inst) }); i >= 0 {
			step, err := s.listeners.change(next, old[i], inst)
			all, steps, errs = append(all, old[i]), append(steps, step), append(errs, err)
			continue
		}
		l, err := s.listeners.make(next, inst)
		if err == nil {
			l.addr, err = l.Transport.Listen(ctx)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all, fresh = append(all, l), append(fresh, l)
	}
	discard := func() {
		over, cancel := context.WithCancel(ctx)
		cancel()
		for _, l := range fresh {
			_ = l.Transport.Serve(over, l.handler) // lets the address go at once
		}
	}
	if err := errors.Join(errs...); err != nil {
		discard()
		return core.Change{}, err
	}
	if len(all) == 0 {
		return core.Change{}, errNone
	}
	return core.Change{Discard: discard, Apply: func() {
		for _, step := range steps {
			step()
		}
		s.listeners.replace(all)
		for _, l := range fresh {
			s.serve(l)
			s.tell(l)
		}
		for _, l := range old {
			if !slices.Contains(all, l) {
				s.log.Info("listener removed, its connections end", "listener", l.Transport.Name(), "address", l.Scheme+"://"+l.addr.String())
				l.close()
			}
		}
		s.anonymous = config.Get[AuthSettings](next, keyAuth).Anonymous
		for _, l := range all {
			s.warn(l)
			if err := s.check(l); err != nil {
				s.log.Warn("nobody can log in", "listener", l.Transport.Name(), "error", err)
			}
		}
	}}, nil
}

// is reports whether inst is this listener, perhaps with other settings.
func (l *Listener) is(inst config.Instance) bool {
	return l.Key == inst.Key && l.Scheme == inst.Variant && l.uri == inst.Common.(ListenerSettings).URI
}

// change prepares the settings of a listener that stays.
func (ls *Listeners) change(next *config.Config, l *Listener, inst config.Instance) (func(), error) {
	mux, err := ls.muxOf(next, inst)
	c, errTransport := l.kind.prepare(l.Transport, inst.Value)
	if err := errors.Join(err, errTransport); err != nil {
		return nil, err
	}
	return func() {
		l.handler.Store(mux)
		if c.Apply != nil {
			c.Apply()
		}
	}, nil
}

// fixed reports whether key is one of a listener whose transport takes no settings while it runs.
func (s *Server) fixed(key string) bool {
	for _, l := range s.listeners.All() {
		rest, ok := strings.CutPrefix(key, l.Key+".")
		if ok && !l.kind.reloadable(l.Transport) {
			return rest != "uri" && rest != "enabled" && rest != "protocols"
		}
	}
	return false
}
