package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"patchring/lab/debian"
	"patchring/lab/holder"
)

const stateFile = "state.json"

// state is what a run leaves for others to find it, and to clean up after it.
//
// It is written before the lab's first process starts, without it, and again with it
// before that process may do anything: who dies between the two drops the leash, and
// the process ends having touched nothing.
type state struct {
	Lab      process      `json:"lab"`   // first process of the lab
	Owner    process      `json:"owner"` // who holds the leash
	Detached bool         `json:"detached"`
	Spec     holder.Spec  `json:"spec"`
	Hosts    []Host       `json:"hosts"`
	Image    debian.Image `json:"image"`
	ImageDir string       `json:"image_dir"`
	Debs     string       `json:"debs"`
}

// process is a process that cannot be taken for a later one with its number.
type process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks since the machine's boot
}

func (s state) alive() bool { return s.Lab.alive() }

// orphaned reports that nobody will end this run any more.
func (s state) orphaned() bool { return !s.Detached && !s.Owner.alive() }

func readState(run string) (state, error) {
	text, err := os.ReadFile(filepath.Join(run, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, ErrNotUp
	}
	if err != nil {
		return state{}, fmt.Errorf("read state: %w", err)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return state{}, fmt.Errorf("read state of %s: %w", run, err)
	}
	s.Image.Dir = s.ImageDir
	return s, nil
}

func (s state) write(run string) error {
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	file := filepath.Join(run, stateFile)
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}
