package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"patchring/internal/core/fault"
)

// reserveBytes is enough for every write that a started order still needs:
// some ten commits of a few pages each, and a spool of its events.
const reserveBytes = 4 << 20

// nearlyFull is the free space below which a failed write is taken for a full
// disk: bbolt does not keep the system's error in all of its own.
const nearlyFull = 1 << 20

// Room makes sure that the outcome of one more order can be written whatever
// happens to the disk meanwhile: the reserve is there, or can be made. When it
// cannot the refusal is disk_full, and passes when somebody makes room.
func (j *Journal) Room() error {
	path := filepath.Join(j.dir, reserveName)
	if at, err := os.Stat(path); err == nil && at.Size() == reserveBytes {
		return nil
	}
	free, err := Free(j.dir)
	if err != nil {
		return err
	}
	full := fault.Again(fault.DiskFull, "mount", j.dir,
		"need", strconv.Itoa(2*reserveBytes), "free", strconv.FormatInt(free, 10))
	if free < 2*reserveBytes { // do not push a nearly full disk over the edge by trying
		return full
	}
	if err := replaceFile(path, reserve()); err != nil {
		return full.Wrap(fmt.Errorf("reserve room for the journal: %w", err))
	}
	return nil
}

// reserve is random so that no file system stores it in less than its size.
func reserve() []byte {
	content := make([]byte, reserveBytes)
	_, _ = rand.Read(content) // never fails: it ends the process instead
	return content
}

func (j *Journal) releaseReserve() error {
	err := os.Remove(filepath.Join(j.dir, reserveName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release the journal's reserve: %w", err)
	}
	return nil
}

func (j *Journal) isFull(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	free, freeErr := Free(j.dir)
	return freeErr == nil && free < nearlyFull
}
