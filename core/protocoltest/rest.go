package protocoltest

import (
	"errors"

	"github.com/wyemq/wye/core"
)

// Rest implements [core.Rester]. It has an effect with PipeOptions.Rests only.
func (p *Pipe) Rest(resume func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.o.Rests {
		p.resume = resume
	}
}

// Run calls serve, and goes on with it after each rest, as a transport does. It returns why the connection ended,
// which is for Finish.
func (p *Pipe) Run(serve func() error) error {
	err := serve()
	for errors.Is(err, core.ErrResting) {
		p.mu.Lock()
		for p.readErr() == nil && len(p.in) == 0 && p.inEnd == nil {
			p.wait(p.deadline)
		}
		resume := p.resume
		p.mu.Unlock()
		err = resume()
	}
	return err
}
