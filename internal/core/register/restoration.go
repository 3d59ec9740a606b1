package register

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
)

// Restoration is what a restore did and what it lost, as far as the database
// that it set aside could tell.
type Restoration struct {
	AtUS     int64
	Aside    string // where the database that was there is kept; empty: there was none
	Problem  string // why Aside could not be compared; empty: it was
	Compared bool
	Losses   []Loss // one a tenant, of those that lost something
}

// Loss is what one register had and the backup does not.
type Loss struct {
	Tenant  string
	From    int64 // the first entry lost
	Entries int64
	// Again are the lost acts that took trust away or stopped something. The
	// restored server knows nothing of them: they must be done again.
	Again []Entry
}

// toRepeat are the kinds of Loss.Again.
var toRepeat = []Kind{
	DeviceRetired, DeviceRevoked, AccountClosed, AccountChanged, TokenRevoked, EnrolmentRevoked, HoldPlaced, ItemWithdrawn,
}

// Lost compares a register, to its end, with the backup that replaces it.
func Lost(tenant string, had, backup iter.Seq2[Row, error]) (Loss, error) {
	loss := Loss{Tenant: tenant, From: -1}
	next, stop := iter.Pull2(backup)
	defer stop()
	for row, err := range had {
		if err != nil {
			return loss, fmt.Errorf("compare register of %s: read what it had: %w", tenant, err)
		}
		if loss.From < 0 {
			kept, err, ok := next()
			if err != nil {
				return loss, fmt.Errorf("compare register of %s: read the backup: %w", tenant, err)
			}
			if ok && bytes.Equal(kept.Raw, row.Raw) {
				continue
			}
			loss.From = row.Index
		}
		loss.Entries++
		entry, err := Decode(row.Raw)
		if err != nil {
			return loss, fmt.Errorf("compare register of %s: entry %d: %w", tenant, row.Index, err)
		}
		if slices.Contains(toRepeat, entry.Kind) {
			loss.Again = append(loss.Again, entry)
		}
	}
	return loss, nil
}
