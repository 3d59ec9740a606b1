package alert

import (
	"time"

	"patchring/internal/core/manifest"
)

// Message is what one notice tells, as it was at that instant: it is kept until
// it was sent, whatever becomes of the alert and of its rule meanwhile.
type Message struct {
	Kind      NoticeKind        `json:"kind"`
	Alert     string            `json:"alert"`
	Rule      string            `json:"rule"`
	Title     manifest.Text     `json:"title"`
	Severity  Severity          `json:"severity"`
	Who       string            `json:"who"` // must act
	State     State             `json:"state"`
	Measure   string            `json:"measure,omitempty"`
	Event     string            `json:"event,omitempty"`
	Value     float64           `json:"value,omitempty"`
	Worst     float64           `json:"worst,omitempty"`
	Limit     float64           `json:"limit,omitempty"`
	Below     bool              `json:"below,omitempty"`
	Device    string            `json:"device,omitempty"` // id
	Name      string            `json:"device_name,omitempty"`
	Campaign  string            `json:"campaign,omitempty"` // id
	CampaignN string            `json:"campaign_name,omitempty"`
	Ring      string            `json:"ring,omitempty"`
	Patch     string            `json:"patch,omitempty"`
	Args      map[string]string `json:"args,omitempty"`
	Did       Do                `json:"did,omitempty"` // by itself, in Ring of Campaign
	Times     int64             `json:"times"`         // looks or events that were bad
	Since     time.Time         `json:"since,omitzero"`
	Fired     time.Time         `json:"fired,omitzero"`
	At        time.Time         `json:"at"`
}
