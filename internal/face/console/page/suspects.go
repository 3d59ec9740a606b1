package page

// Suspects are what devices of a campaign share on which a patch fails.
type Suspects struct {
	Campaign, Name string
	Patches        []PatchSuspects
}

// PatchSuspects are those of one patch.
type PatchSuspects struct {
	ID, Name      string // the name with its version
	Failed, Sound int64
	Bounded       bool
	Suspects      []Suspect
}

// Suspect is one thing that failing devices share.
type Suspect struct {
	Condition, Safeguard        string
	Failed, With                int64
	FailedWithout, WithoutCount int64
}

// Heading names the page.
func (s Suspects) Heading() string { return s.Name }
