package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"patchring/internal/endpoint/journal"
	"patchring/wire"
)

const statusName = "status.json"

// Status is what the agent says of itself to a person at the device.
type Status struct {
	Version   string             `json:"version"`
	Enrolled  bool               `json:"enrolled"`
	Running   bool               `json:"running"`
	PID       int                `json:"pid,omitempty"`
	Started   time.Time          `json:"started,omitzero"`
	Server    string             `json:"server,omitempty"`
	Device    string             `json:"device,omitempty"`
	Name      string             `json:"name,omitempty"`
	Connected bool               `json:"connected"`
	Scanned   time.Time          `json:"scanned,omitzero"`
	Scan      wire.ScanStatus    `json:"scan,omitempty"`
	Cause     *wire.Cause        `json:"cause,omitempty"`
	Missing   int                `json:"missing"`
	Spooled   int                `json:"spooled"` // events not yet delivered
	Orders    []wire.OrderStatus `json:"orders"`
	Doing     string             `json:"doing,omitempty"`
	Sample    *wire.Sample       `json:"sample,omitempty"` // the latest, with its probes
	Points    int                `json:"points"`           // of measures, not yet delivered
	// Abandoned are the registers that this device followed until the server
	// said that it had restored a backup, oldest first.
	Abandoned []journal.Abandoned `json:"abandoned,omitempty"`
}

// writeStatus keeps it in a file, so that asking costs the agent nothing and
// works while it is stuck.
func (a *Agent) writeStatus() {
	s := Status{
		Version: a.Version, Enrolled: true, Running: true, PID: os.Getpid(), Started: a.started, Server: a.identity.Server,
		Device: a.identity.Device, Name: a.identity.Name, Connected: a.link.Connected(), Doing: a.executor.Doing(),
	}
	a.mu.Lock()
	s.Scanned, s.Scan, s.Cause, s.Missing = a.seen.scanned, a.seen.status, a.seen.cause, a.seen.missing
	a.mu.Unlock()
	s.Sample = a.observer.Last()
	var errs [4]error
	s.Orders, errs[0] = a.executor.Status()
	s.Spooled, errs[1] = a.journal.Spooled()
	s.Abandoned, errs[2] = a.journal.Abandoned()
	s.Points, errs[3] = a.journal.PointsKept()
	if err := errors.Join(append(errs[:], writeStatus(a.Dir, s))...); err != nil {
		a.Log.Warn("status not written", "err", err)
	}
}

func (a *Agent) stopped() {
	s, err := readStatus(a.Dir)
	if err == nil {
		s.Running, s.Connected, s.PID = false, false, 0
		err = writeStatus(a.Dir, s)
	}
	if err != nil {
		a.Log.Warn("status not written", "err", err)
	}
}

// writeStatus replaces the file whole. It is for people and need not survive a
// power cut.
func writeStatus(dir string, s Status) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	f, err := os.CreateTemp(dir, "."+statusName+"-*")
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, statusName)); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

func readStatus(dir string) (Status, error) {
	var s Status
	text, err := os.ReadFile(filepath.Join(dir, statusName))
	if err != nil {
		return s, fmt.Errorf("read status: %w", err)
	}
	return s, json.Unmarshal(text, &s)
}

// ReadStatus is what the agent in dir last said of itself, if it still runs.
func ReadStatus(dir, version string) (Status, error) {
	id, err := journal.ReadIdentity(dir)
	if errors.Is(err, journal.ErrNotEnrolled) {
		return Status{Version: version, Orders: []wire.OrderStatus{}}, nil
	}
	if err != nil {
		return Status{}, err
	}
	s, err := readStatus(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Status{Version: version, Enrolled: true, Server: id.Server, Device: id.Device, Name: id.Name, Orders: []wire.OrderStatus{}}, nil
	}
	if err != nil {
		return s, err
	}
	if !alive(s.PID) {
		s.Running, s.Connected, s.PID = false, false, 0
	}
	return s, nil
}
