package view

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/register"
)

// EventQuery chooses register entries, newest first.
type EventQuery struct {
	Paging
	Device   string // id
	Campaign string // id
}

// Event is one register entry as people read it.
type Event struct {
	Index    int64          `json:"index"`
	At       time.Time      `json:"at"`
	Kind     register.Kind  `json:"kind"`
	Actor    string         `json:"actor"`
	Device   *DeviceRef     `json:"device,omitempty"`
	Campaign *CampaignRef   `json:"campaign,omitempty"`
	Ring     string         `json:"ring,omitempty"`
	Patch    *PatchRef      `json:"patch,omitempty"`
	Reason   *fault.Reason  `json:"reason,omitempty"`
	Detail   map[string]any `json:"detail,omitempty"`
}

// EventPage is a page of the register.
type EventPage = Page[Event]
