package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"patchring/wire"
)

const identityName = "identity.json"

// ErrNotEnrolled tells that this device has no identity yet.
var ErrNotEnrolled = errors.New("device is not enrolled")

// Identity is what enrolment gave the device. It is one file apart from the
// bbolt journal: losing the journal must not lose the identity. Key and
// certificate are in the same file so that a renewal swaps both or neither.
type Identity struct {
	Server      string     `json:"server"` // where it enrolled
	Tenant      string     `json:"tenant"`
	Device      string     `json:"device"`
	Name        string     `json:"name"`
	Key         string     `json:"key"`         // PEM, made on this device, never sent
	Certificate string     `json:"certificate"` // PEM
	CA          string     `json:"ca"`          // PEM
	Brokers     []string   `json:"brokers"`
	OrderKeys   []wire.Key `json:"order_keys"` // orders signed by another key are refused
	RegisterKey string     `json:"register_key"`
	CheckinS    int64      `json:"checkin_s"`
}

// ReadIdentity reads the identity in dir.
func ReadIdentity(dir string) (Identity, error) {
	raw, err := os.ReadFile(filepath.Join(dir, identityName))
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, ErrNotEnrolled
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	var id Identity
	if err := json.Unmarshal(raw, &id); err != nil {
		return Identity{}, fmt.Errorf("decode identity: %w", err)
	}
	return id, nil
}

// WriteIdentity stores the identity in dir, readable by its owner only.
//
// Crash story: the next start reads the old identity or the new one, never a
// mixture. A certificate that the server issued and that was not stored is
// simply renewed again with the old one.
func WriteIdentity(dir string, id Identity) error {
	raw, err := json.MarshalIndent(id, "", "\t")
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, identityName), raw); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return nil
}

// replaceFile writes a file whole or not at all, and durably.
func replaceFile(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// sweep removes what a crash in the middle of replaceFile left.
func sweep(dir string) error {
	for _, name := range []string{identityName, reserveName} {
		left, err := filepath.Glob(filepath.Join(dir, "."+name+"-*"))
		if err != nil {
			return fmt.Errorf("look for unfinished files: %w", err)
		}
		for _, path := range left {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove unfinished file: %w", err)
			}
		}
	}
	return nil
}

// syncDir makes a new name durable. Windows has no such call and keeps names
// with its own log.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync directory %s: %w", dir, err), d.Close())
	}
	return d.Close()
}
