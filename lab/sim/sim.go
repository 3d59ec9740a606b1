// Package sim is a fleet of simulated devices of any size that speaks the real
// wire: each enrols over HTTPS with a counted token, keeps a mutual TLS
// connection of its own to the broker, checks in, sends its parts and events,
// verifies orders and holds with the keys pinned at enrolment, and answers
// questions. Only what an order does to it is imagined: packages are recorded
// lists, and how a device fails is drawn from a seed.
//
// It knows the wire and the core's vocabulary, nothing of the server's insides,
// so what a server withstands from it, it withstands from agents. A fleet
// belongs to one goroutine; each device has one goroutine of its own and shares
// nothing but counters.
package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"patchring/lab/fleet"
)

// Options of a fleet.
type Options struct {
	URL     string // of the server
	Token   string // an enrolment token with enough uses; not needed when every identity is saved
	Devices int
	Seed    uint64
	Shares  Shares

	Spread     time.Duration // the devices' start is spread over this
	Checkin    time.Duration // in place of the heartbeat the server asks for
	Pace       time.Duration // how long an order takes a usual device
	SkewBy     time.Duration // clocks of the skewed share are off by up to this
	ChurnEvery time.Duration // how often a device of the churning share leaves
	Packages   int           // installed packages of each device: a recorded size; 0: a mix
	Pending    int           // patches each device misses at first; 0: all that are recorded
	Sample     time.Duration // between two samples, in place of what the server asks for; negative: nothing is measured
	Harm       []Harm        // what updates do to the devices they are installed on

	// Identities is a file in which enrolled identities are kept, so that the
	// same fleet need not enrol again; empty: none.
	Identities string

	// Progress is called every Every from one goroutine, and not after Run has
	// returned; nil: never.
	Progress func(Counts)
	Every    time.Duration
	// Say tells a person of a device's trouble; it must be safe from any
	// goroutine. nil: nobody.
	Say func(string)
}

// Defaults of what may be left out.
const (
	DefaultPace       = 10 * time.Second
	DefaultSkewBy     = 15 * time.Minute
	DefaultChurnEvery = time.Minute
	DefaultPending    = 12
	defaultEvery      = time.Second
)

// ErrOptions is wrong usage.
var ErrOptions = errors.New("wrong options")

func (o Options) complete() (Options, error) {
	o.Pace = cmp.Or(o.Pace, DefaultPace)
	o.SkewBy = cmp.Or(o.SkewBy, DefaultSkewBy)
	o.ChurnEvery = cmp.Or(o.ChurnEvery, DefaultChurnEvery)
	o.Every = cmp.Or(o.Every, defaultEvery)
	if o.Say == nil {
		o.Say = func(string) {}
	}
	switch {
	case o.Devices < 1 || o.Devices > fleet.TableLimit:
		return o, fmt.Errorf("%w: %d devices, want 1 to %d", ErrOptions, o.Devices, fleet.TableLimit)
	case o.Spread < 0 || o.Checkin < 0 || o.Pace < 0 || o.SkewBy < 0 || o.ChurnEvery < 0 || o.Pending < 0:
		return o, fmt.Errorf("%w: a negative duration or number", ErrOptions)
	}
	for _, h := range o.Harm {
		if h.Package == "" || !(h.Share >= 0 && h.Share <= 1) {
			return o, fmt.Errorf("%w: harm of package %q to a share of %v, want a name and 0 to 1", ErrOptions, h.Package, h.Share)
		}
	}
	if err := o.Shares.check(); err != nil {
		return o, err
	}
	return o, checkSize(o.Packages)
}

// simulation is one run.
type simulation struct {
	Options
	stocks  stocks
	trust   trust
	counter counter
	dialing chan struct{} // one place for each handshake under way
}

// dialsAtOnce bounds the handshakes of a start: more at once would only make
// each of them slower, until they all time out.
const dialsAtOnce = 64

// Run enrols what has no identity yet and plays the fleet until ctx ends or no
// device is left. It fails when a device is refused its enrolment: what would
// follow would not be the fleet that was asked for.
func Run(ctx context.Context, o Options) (Counts, error) {
	o, err := o.complete()
	if err != nil {
		return Counts{}, err
	}
	s := &simulation{Options: o, dialing: make(chan struct{}, dialsAtOnce)}
	if s.stocks, err = readStocks(); err != nil {
		return Counts{}, err
	}
	s.counter.start(o.Devices)
	stop := s.report()
	defer stop()
	devices, err := s.gather(ctx)
	if err != nil {
		return s.counter.counts(), err
	}
	return s.play(ctx, devices), nil
}

// play runs every device. The counts are taken before the devices hang up.
func (s *simulation) play(ctx context.Context, devices []*device) Counts {
	var running sync.WaitGroup
	living, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	for _, d := range devices {
		running.Go(func() { d.run(living) })
	}
	left := make(chan struct{})
	go func() { running.Wait(); close(left) }()
	select {
	case <-ctx.Done():
	case <-left:
	}
	end := s.counter.counts()
	hangUp()
	<-left
	return end
}

// report tells of the progress until stop is called, which waits for it.
func (s *simulation) report() (stop func()) {
	if s.Progress == nil {
		return func() {}
	}
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(s.Every)
		defer tick.Stop()
		for {
			select {
			case <-ending:
				return
			case <-tick.C:
				s.Progress(s.counter.counts())
			}
		}
	}()
	return func() { close(ending); <-ended }
}

// workers is how many enrolments are under way at once: two a processor keep
// both sides busy with keys and signatures.
func workers() int { return 2 * runtime.GOMAXPROCS(0) }
