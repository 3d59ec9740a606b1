package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"patchring/lab/fleet"
)

// Shares of the fleet, each from 0 to 1, that are not as one would wish.
type Shares struct {
	DownloadFails float64 // nothing of an order can be fetched
	InstallFails  float64 // the package manager fails on one package, which stays as it was
	ServiceDies   float64 // the package manager succeeds, a service is dead afterwards
	Slow          float64 // twenty times slower than the others
	Gone          float64 // cut off when the first order comes, and never back
	Skewed        float64 // the clock is wrong
	Duplicate     float64 // cloned from one image, machine id and all
	Churns        float64 // disconnects and returns, again and again
}

func (s Shares) check() error {
	for name, share := range map[string]float64{
		"download failures": s.DownloadFails, "install failures": s.InstallFails, "dead services": s.ServiceDies, "slow": s.Slow,
		"gone": s.Gone, "skewed": s.Skewed, "duplicate": s.Duplicate, "churning": s.Churns,
	} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("%w: the share of %s is %v, want 0 to 1", ErrOptions, name, share)
		}
	}
	if sum := s.DownloadFails + s.InstallFails + s.ServiceDies; sum > 1 {
		return fmt.Errorf("%w: failures add up to %v of the fleet", ErrOptions, sum)
	}
	return nil
}

// Fate is what becomes of the device's orders.
type Fate string

// Fates. A device has one: what fails on it fails each time.
const (
	Fine          Fate = "fine"
	DownloadFails Fate = "download_fails"
	InstallFails  Fate = "install_fails"
	ServiceDies   Fate = "service_dies"
)

// Traits are all that tells one device from another. They follow from seed and
// number alone, and each share draws for itself: raising one leaves the other
// traits of every device as they were.
type Traits struct {
	Number    int
	Host      fleet.Host
	MachineID string
	Packages  int // installed
	Fate      Fate
	Speed     float64 // a usual device is near 1, a slow one near 20
	Gone      bool
	Skew      time.Duration
	Duplicate bool
	Churns    bool
	Start     time.Duration // after the fleet's
}

const slowness = 20

// Traits of every device of the fleet.
func (o Options) Traits() ([]Traits, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	hosts, err := fleet.Table(o.Devices)
	if err != nil {
		return nil, err
	}
	all := make([]Traits, o.Devices)
	for i := range all {
		all[i] = o.traits(i, hosts[i])
	}
	return all, nil
}

func (o Options) traits(number int, host fleet.Host) Traits {
	draw := func(what string) float64 { return o.random(number, what).Float64() }
	t := Traits{
		Number: number, Host: host, MachineID: o.machineID(number), Packages: o.Packages,
		Fate: o.fate(draw("fate")), Speed: 0.5 + draw("speed"),
		Gone: draw("gone") < o.Shares.Gone, Duplicate: draw("duplicate") < o.Shares.Duplicate, Churns: draw("churns") < o.Shares.Churns,
		Start: time.Duration(draw("start") * float64(o.Spread)),
	}
	if t.Packages == 0 {
		t.Packages = mixed(draw("packages"))
	}
	if draw("slow") < o.Shares.Slow {
		t.Speed *= slowness
	}
	if draw("skewed") < o.Shares.Skewed {
		t.Skew = time.Duration((2*draw("skew") - 1) * float64(o.SkewBy)).Round(time.Millisecond)
	}
	if t.Duplicate {
		t.MachineID = o.machineID(-1)
	}
	return t
}

// fate divides one draw among the failures, so that a device has only one.
func (o Options) fate(draw float64) Fate {
	for _, f := range []struct {
		share float64
		fate  Fate
	}{{o.Shares.DownloadFails, DownloadFails}, {o.Shares.InstallFails, InstallFails}, {o.Shares.ServiceDies, ServiceDies}} {
		if draw < f.share {
			return f.fate
		}
		draw -= f.share
	}
	return Fine
}

// random is a source for one purpose of one device.
func (o Options) random(number int, what string) *rand.Rand {
	sum := sha256.Sum256([]byte(what))
	return rand.New(rand.NewPCG(o.Seed, binary.BigEndian.Uint64(sum[:])+uint64(number)))
}

func (o Options) machineID(number int) string {
	r := o.random(number, "machine id")
	id := binary.BigEndian.AppendUint64(nil, r.Uint64())
	return fmt.Sprintf("%x", binary.BigEndian.AppendUint64(id, r.Uint64()))
}
