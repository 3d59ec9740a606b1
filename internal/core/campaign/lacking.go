package campaign

import (
	"strconv"

	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
)

// EvidenceTests and those of incidents are named beside the measured ones.
const (
	EvidenceTests             = "tests"
	EvidenceIncidentsCritical = "incidents_critical"
	EvidenceIncidentsMajor    = "incidents_major"
	EvidenceIncidentsMinor    = "incidents_minor"
)

// incidentEvidence names the evidence of a severity.
var incidentEvidence = map[procedure.Severity]string{
	procedure.Critical: EvidenceIncidentsCritical, procedure.Major: EvidenceIncidentsMajor, procedure.Minor: EvidenceIncidentsMinor,
}

// lacking is what people have not said yet, or have said is wrong: tests that
// are open or failed, and incidents that are not closed.
func (r Ring) lacking() []fault.Reason {
	var reasons []fault.Reason
	if n := r.Tests.Failed; n > 0 {
		reasons = append(reasons, fault.Because(fault.GateTestFailed, "count", strconv.Itoa(n)))
	}
	if n := r.Tests.Open; n > 0 {
		reasons = append(reasons, fault.Because(fault.GateTestOpen, "count", strconv.Itoa(n)))
	}
	for _, severity := range procedure.Severities() {
		most, limited := r.Gate.MaxIncidents(severity)
		if n := r.Incidents[severity]; limited && n > most {
			reasons = append(reasons, fault.Because(fault.GateIncidentOpen, "severity", string(severity), "count", strconv.Itoa(n)))
		}
	}
	return reasons
}

// lackingEvidence shows tests where the gate has any, and incidents where there
// are some, or the procedure speaks of them.
func (r Ring) lackingEvidence() []Evidence {
	var out []Evidence
	if total := r.Tests.Total(); total > 0 {
		out = append(out, Evidence{Name: EvidenceTests, Have: strconv.Itoa(r.Tests.OK), Need: ">= " + strconv.Itoa(total), OK: r.Tests.OK == total})
	}
	for _, severity := range procedure.Severities() {
		most, limited := r.Gate.MaxIncidents(severity)
		_, written := r.Gate.Incidents[severity]
		if n := r.Incidents[severity]; limited && (written || n > 0) {
			out = append(out, Evidence{Name: incidentEvidence[severity], Have: strconv.Itoa(n), Need: "<= " + strconv.Itoa(most), OK: n <= most})
		}
	}
	return out
}
