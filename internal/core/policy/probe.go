package policy

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/manifest"
	"patchring/wire"
)

// Probe is a check that the devices it chooses make again and again.
type Probe struct {
	Devices Chosen
	Check   wire.Probe
}

// ProbeTypes lists the fields of a probe that say what it looks at.
func ProbeTypes() []wire.ProbeType {
	return []wire.ProbeType{wire.ProbeService, wire.ProbeProcess, wire.ProbeTCP, wire.ProbeHTTP, wire.ProbeCertificate}
}

// How often and how long probes look, when the file does not say.
const (
	usualProbe       = time.Minute
	usualCertificate = 6 * time.Hour
	leastProbe       = 10 * time.Second
	mostProbe        = 24 * time.Hour
	usualTimeout     = 5 * time.Second
	mostTimeout      = time.Minute
	usualDays        = 14
)

// Bounds of how often a device takes a sample.
const (
	leastSample = 30 * time.Second
	mostSample  = 10 * time.Minute
)

// maxTarget bounds what a probe looks at, and what it looks for.
const maxTarget = 512

func probeFields() []string {
	fields := []string{"name", "devices", "every", "timeout", "status", "contains", "min_days"}
	for _, t := range ProbeTypes() {
		fields = append(fields, string(t))
	}
	return fields
}

func (r *parser) probe(o manifest.Object) Probe {
	p := Probe{Devices: r.chosen(o, "devices"), Check: wire.Probe{Name: o.Identifier("name")}}
	r.target(o, &p.Check)
	usual := usualProbe
	if p.Check.Type == wire.ProbeCertificate {
		usual = usualCertificate
	}
	every, timeout := o.Duration("every", usual), o.Duration("timeout", usualTimeout)
	if every < leastProbe || every > mostProbe {
		r.Refuse(o.Or("every"), "is out of range", "write 10s to 1d")
	}
	if timeout < time.Second || timeout > mostTimeout {
		r.Refuse(o.Or("timeout"), "is out of range", "write 1s to 60s")
	} else if timeout > every {
		r.Refuse(o.Or("timeout"), fmt.Sprintf("is longer than every %s", every), "shorten it, or look less often")
	}
	p.Check.EveryS, p.Check.TimeoutS = int64(every/time.Second), int64(timeout/time.Second)
	r.details(o, &p.Check)
	return p
}

// target reads the one field that says what the probe looks at.
func (r *parser) target(o manifest.Object, check *wire.Probe) {
	var named []string
	for _, t := range ProbeTypes() {
		if o.Written(string(t)) {
			named = append(named, string(t))
		}
	}
	if len(named) != 1 {
		problem := "says nothing to look at"
		if len(named) > 1 {
			problem = "looks at " + strings.Join(named, " and at ")
		}
		r.Refuse(o.At, problem, "write one of "+choicesOf(ProbeTypes())+", for example http: https://intranet.example/health")
		return
	}
	check.Type, check.Target = wire.ProbeType(named[0]), o.Text(named[0])
	if check.Target == "" {
		return // refused already
	}
	if fix := wrongTarget(check.Type, check.Target); fix != "" {
		r.Refuse(o.Field(named[0]), fmt.Sprintf("%q is not what a probe of %s looks at", check.Target, check.Type), fix)
	}
}

// wrongTarget says how to write a target that cannot be looked at.
func wrongTarget(t wire.ProbeType, target string) (fix string) {
	if len(target) > maxTarget || wire.Clean(target, maxTarget) != target || strings.ContainsAny(target, "\n\t") {
		return fmt.Sprintf("write at most %d characters on one line", maxTarget)
	}
	switch t {
	case wire.ProbeService, wire.ProbeProcess:
		if strings.ContainsAny(target, `/\ `) {
			return "write its name alone, for example nginx.service or sshd"
		}
	case wire.ProbeTCP:
		if !isHostPort(target) {
			return "write HOST:PORT, for example 127.0.0.1:5432"
		}
	case wire.ProbeHTTP:
		u, err := url.Parse(target)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "write an address with http:// or https://"
		}
		if u.User != nil {
			return "take the password out: what a policy says is kept for ever and read by many"
		}
	case wire.ProbeCertificate:
		if !isHostPort(target) && !isPath(target) {
			return "write HOST:PORT, or the path of a PEM file"
		}
	}
	return ""
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, e := strconv.Atoi(port)
	return err == nil && host != "" && e == nil && n > 0 && n < 1<<16 && !strings.ContainsAny(host, "/ ")
}

// isPath tells a whole path, of any system.
func isPath(s string) bool {
	return strings.HasPrefix(s, "/") || len(s) > 3 && s[1] == ':' && (s[2] == '\\' || s[2] == '/')
}

// details reads what only some probes look for.
func (r *parser) details(o manifest.Object, check *wire.Probe) {
	for _, f := range []struct {
		name string
		of   wire.ProbeType
	}{{"status", wire.ProbeHTTP}, {"contains", wire.ProbeHTTP}, {"min_days", wire.ProbeCertificate}} {
		if o.Has(f.name) && check.Type != "" && check.Type != f.of {
			r.Refuse(o.Field(f.name), fmt.Sprintf("is not read by a probe of %s", check.Type), fmt.Sprintf("take it out: it belongs to %s", f.of))
		}
	}
	check.Status = o.Integer("status", 0, manifest.Limits{Low: 100, High: 599})
	if check.Contains = o.Text("contains"); len(check.Contains) > maxTarget {
		r.Refuse(o.Field("contains"), fmt.Sprintf("is longer than %d bytes", maxTarget), "look for less of it")
	}
	if check.Type == wire.ProbeCertificate {
		check.MinDays = o.Integer("min_days", usualDays, manifest.Limits{Low: 0, High: 3650})
	}
}

// checkProbes refuses more probes than any one device makes.
func (r *parser) checkProbes(o manifest.Object, probes []Probe) {
	everywhere := 0
	for _, p := range probes {
		if p.Devices.condition < 0 {
			everywhere++
		}
	}
	if everywhere > wire.MaxProbes {
		r.Refuse(o.Field("probes"), fmt.Sprintf("has %d probes of every device", everywhere), fmt.Sprintf("keep %d at most, or say of which devices: a device makes no more", wire.MaxProbes))
	}
}

// sample reads how often devices take one; 0: nothing is said.
func (r *parser) sample(o manifest.Object) time.Duration {
	every := o.Duration("sample_every", 0)
	if o.Has("sample_every") && (every < leastSample || every > mostSample) {
		r.Refuse(o.Field("sample_every"), "is out of range", "write 30s to 10m")
	}
	return every
}

// HaveProbes tells whether there is anything to tell a device to measure.
func (p Policies) HaveProbes() bool {
	found := false
	p.each(func(_ place, _ int, policy *Policy) {
		found = found || len(policy.Probes) > 0 || policy.SampleEvery > 0
	})
	return found
}

// addProbes adds the probes that the devices of a match make. A name that is
// taken stays with who spoke first, and a device makes no more than it can.
func (s *Settings) addProbes(m Match, from int, policy *Policy) {
	for _, p := range policy.Probes {
		taken := slices.ContainsFunc(s.Probes, func(c wire.Probe) bool { return c.Name == p.Check.Name })
		if m.fits(from, p.Devices) && !taken && len(s.Probes) < wire.MaxProbes {
			s.Probes = append(s.Probes, p.Check)
		}
	}
	if s.SampleEvery == 0 {
		s.SampleEvery = policy.SampleEvery
	}
}
