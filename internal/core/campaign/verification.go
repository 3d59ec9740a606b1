package campaign

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/procedure"
)

// VerificationPosition stands for the verification in a sign-off's ring
// position: it comes after every ring.
const VerificationPosition = -2

// Verification is what closing a campaign waits for.
type Verification struct {
	State    State
	At       time.Time // from when on it can be signed
	Sealed   bool
	Held     bool // as a whole
	Rules    []procedure.SignOffRule
	SignOffs []SignOff
}

// Missing is what stands in the way of closing; none: it may be closed. What
// was never sealed has done nothing that anybody could vouch for.
func (v Verification) Missing() []fault.Reason {
	if !v.Sealed {
		return nil
	}
	return missingSignOffs(v.Rules, v.SignOffs)
}

// Signable tells whether the verification can be signed: nobody vouches for a
// campaign whose last ring is still at work. One that is held as a whole, as what
// is undone is, may end without reaching its day.
func (v Verification) Signable() bool {
	return v.State == Verifying || v.Held
}
