package wire

// Measure names one thing that agents measure. What a device cannot measure is
// absent from its samples, never zero.
type Measure string

// The measures. Unless said otherwise a higher value is worse.
const (
	MeasureCPU        Measure = "cpu_percent"         // busy share of all processors since the sample before; of a container, its own
	MeasureLoad       Measure = "load_per_cpu"        // of the last minute; not on Windows
	MeasureMemory     Measure = "memory_percent"      // in use and not to be had back
	MeasureDisk       Measure = "disk_latency_ms"     // mean wait of one read or write since the sample before; absent when there was none
	MeasureFree       Measure = "disk_free_percent"   // of the fullest file system that holds data; lower is worse
	MeasureBoot       Measure = "boot_s"              // how long the last boot took, until the system said that it was up
	MeasureLogin      Measure = "login_s"             // how long the last login of a person took, until the desktop was there
	MeasureUnits      Measure = "failed_units"        // services that the system calls failed
	MeasureDown       Measure = "services_down"       // services that start by themselves and do not run
	MeasureCrashes    Measure = "crashes"             // programs that crashed since the sample before
	MeasureErrors     Measure = "errors_per_min"      // lines of the system's log that are errors or worse
	MeasurePorts      Measure = "listening_ports"     // TCP; lower is worse
	MeasureClock      Measure = "clock_offset_ms"     // of the clock, as the time service last saw it, without its sign
	MeasureUnsynced   Measure = "clock_unsynced"      // 1: no time service keeps the clock
	MeasureUnguarded  Measure = "security_agent_down" // 1: a security agent is installed and does not run
	MeasureUse        Measure = "use_percent"         // share of the time in which it was used: a person at a workstation, up for a server; neither better nor worse
	MeasureProbesDown Measure = "probes_down"         // probes that say no
)

// Measures lists them.
func Measures() []Measure {
	return []Measure{
		MeasureCPU, MeasureLoad, MeasureMemory, MeasureDisk, MeasureFree, MeasureBoot, MeasureLogin, MeasureUnits, MeasureDown,
		MeasureCrashes, MeasureErrors, MeasurePorts, MeasureClock, MeasureUnsynced, MeasureUnguarded, MeasureUse, MeasureProbesDown,
	}
}

// PointS is how long a Point covers: points begin at its multiples in UTC.
const PointS = 300

// MeasuresReport is what a device measured since it was last heard: the latest
// sample, for whoever watches now, and the points that no MeasuresReply has
// acknowledged yet. Sending a point again changes nothing.
type MeasuresReport struct {
	NowUS  int64   `json:"now_us"` // the device's clock as it sends: instants count by their age
	BootID string  `json:"boot_id,omitempty"`
	Sample *Sample `json:"sample,omitempty"`
	Points []Point `json:"points,omitempty"` // oldest first, MaxPointsPerSend at most
}

// MeasuresReply acknowledges all points that begin at UpToUS or before it.
type MeasuresReply struct {
	UpToUS int64  `json:"up_to_us,omitempty"`
	Error  *Error `json:"error,omitempty"`
}

// Sample is one look at the device: a few hundred bytes.
type Sample struct {
	AtUS   int64               `json:"at_us"`
	Values map[Measure]float64 `json:"v"`
	// ReadUS is when Values and Down were read, where that was before AtUS: a
	// probe that changes says them again.
	ReadUS int64 `json:"read_us,omitempty"`
	// Down names what MeasureUnits and MeasureDown count, MaxDown of them at most.
	Down   []string     `json:"down,omitempty"`
	Probes []ProbeState `json:"probes,omitempty"`
}

// Point is what the samples of PointS seconds amount to.
type Point struct {
	AtUS int64               `json:"at_us"` // its beginning, a multiple of PointS
	N    int                 `json:"n"`     // samples
	Mean map[Measure]float64 `json:"mean"`  // of crashes: their sum
	// Worst is the worst of the samples where it is not the mean.
	Worst  map[Measure]float64 `json:"worst,omitempty"`
	Probes []ProbeState        `json:"probes,omitempty"` // the last of each; State is down if it was at any time
}

// Limits of a report of measures.
const (
	MaxPointsPerSend = 64
	MaxDown          = 16
	MaxProbes        = 32
)

// ProbeType is what a probe looks at.
type ProbeType string

// The types of probes.
const (
	ProbeService     ProbeType = "service"     // Target, a service of the system, runs
	ProbeProcess     ProbeType = "process"     // a process of the name Target is alive
	ProbeTCP         ProbeType = "tcp"         // Target, HOST:PORT, takes a connection
	ProbeHTTP        ProbeType = "http"        // Target, an http or https address, answers with Status
	ProbeCertificate ProbeType = "certificate" // that of Target, HOST:PORT or a PEM file's path, is good for MinDays more
)

// Probe is one typed check that an agent makes again and again. It reads and
// connects, and changes nothing.
type Probe struct {
	Name     string    `json:"name"` // unique on a device
	Type     ProbeType `json:"type"`
	Target   string    `json:"target"`
	EveryS   int64     `json:"every_s"`
	TimeoutS int64     `json:"timeout_s"`
	Status   int       `json:"status,omitempty"`   // of http; 0: any below 400
	Contains string    `json:"contains,omitempty"` // of http: what the first 64 KiB of the body have to contain
	MinDays  int       `json:"min_days,omitempty"` // of certificate
}

// ProbeState is what a probe last found.
type ProbeState struct {
	Name  string `json:"name"`
	State string `json:"state"` // ProbeUp or ProbeDown
	AtUS  int64  `json:"at_us"`
	// SinceUS is from when on it found the same.
	SinceUS int64  `json:"since_us"`
	MS      int64  `json:"ms,omitempty"`    // how long it took
	Cause   *Cause `json:"cause,omitempty"` // of ProbeDown
}

// What a probe finds.
const (
	ProbeUp   = "up"
	ProbeDown = "down"
)

// Watch is what one device is to measure, signed as orders are: a probe connects
// as root to where it is told. A newer serial replaces an older one.
type Watch struct {
	Tenant  string  `json:"tenant"`
	Device  string  `json:"device"`
	Serial  int64   `json:"serial"`
	SampleS int64   `json:"sample_s"` // between two samples; DefaultSampleS without any Watch
	Probes  []Probe `json:"probes,omitempty"`
}

// CapabilityMeasures is from when on an agent measures and makes probes.
const CapabilityMeasures = 5

// DefaultSampleS is how often a device that was told nothing takes a sample.
const DefaultSampleS = 60
