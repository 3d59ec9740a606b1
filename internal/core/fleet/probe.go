package fleet

import "patchring/wire"

// ProbeState is where a probe of a device stands.
type ProbeState string

// The states. Up, down and vetoed come from a device.
const (
	ProbeUp      = ProbeState(wire.ProbeUp)
	ProbeDown    = ProbeState(wire.ProbeDown)
	ProbeUnknown = ProbeState("unknown") // told, and not heard of yet
	ProbeTooOld  = ProbeState("too_old") // its agent makes no probes
	ProbeVetoed  = ProbeState("vetoed")  // the device's administrator forbids it: neither up nor down
)

// ProbeStates lists them, the worst first.
func ProbeStates() []ProbeState {
	return []ProbeState{ProbeDown, ProbeUnknown, ProbeTooOld, ProbeVetoed, ProbeUp}
}
