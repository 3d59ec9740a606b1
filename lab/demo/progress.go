package demo

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// follow prints what changes on the board until the campaign is over: its
// verification date has come and every ring has been decided.
func (d *Demo) follow(ctx context.Context, name string) error {
	var last string
	return Poll(ctx, d.limit(), "the campaign is over", func() (bool, error) {
		board, err := d.admin.Board(ctx, name)
		if err != nil {
			return false, err
		}
		if line := picture(board); line != last {
			d.say("%s", line)
			last = line
		}
		if d.Once {
			if err := d.signWhatWaits(ctx, board); err != nil {
				return false, err
			}
		}
		return over(board), nil
	})
}

// limit is far beyond what the campaign takes, so that a hang ends with a
// reason; a person who watches may take all the time they want.
func (d *Demo) limit() time.Duration {
	if d.Once {
		return 30*time.Minute + 20*d.Day
	}
	return 30 * 24 * time.Hour
}

func over(b Board) bool {
	if b.Campaign.State != "verifying" && b.Campaign.State != "closed" {
		return false
	}
	for _, a := range b.Amendments {
		for _, r := range a.Rings {
			if r.State != "promoted" && r.State != "done" {
				return false
			}
		}
	}
	return true
}

// picture is one line a ring: state, the five numbers, and what is in the way.
func picture(b Board) string {
	var rings []string
	for _, a := range b.Amendments {
		for _, r := range a.Rings {
			n := r.Numbers
			text := fmt.Sprintf("%s %s %d/%d", r.Ring, r.State, n.Done, n.Done+n.Failed+n.NotReached+n.Unreachable)
			for _, x := range []struct {
				what string
				n    int
			}{{"failed", n.Failed}, {"unreachable", n.Unreachable}, {"exempt", n.Exempt}} {
				if x.n > 0 {
					text += fmt.Sprintf(" %s %d", x.what, x.n)
				}
			}
			if r.State == "gate" {
				text += " [" + r.Verdict + ": " + codes(r.Reasons) + "]"
			}
			rings = append(rings, text)
		}
	}
	return b.Campaign.State + " | " + strings.Join(rings, " | ")
}

func codes(reasons []Reason) string {
	var out []string
	for _, r := range reasons {
		text := r.Code
		if role := r.Args["role"]; role != "" {
			text += " " + role
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// signWhatWaits signs a gate that nothing else holds: the demonstration's
// people look at the evidence before they say yes.
func (d *Demo) signWhatWaits(ctx context.Context, b Board) error {
	for _, a := range b.Amendments {
		for _, r := range a.Rings {
			if r.State != "gate" {
				continue
			}
			for _, slot := range r.SignOffs {
				signer := d.signers[slot.Role]
				if signer == nil || string(slot.Given) != "" && string(slot.Given) != "null" || !onlySignOffs(r.Reasons) {
					continue
				}
				if err := signer.Sign(ctx, b.Campaign.Name, a.Number, r.Ring, slot); err != nil {
					return err
				}
				d.say("%s signed the gate of %s", slot.Role, r.Ring)
			}
		}
	}
	return nil
}

// signVerification waits until the devices have been watched for as long as the
// procedure says, and signs what closing waits for.
func (d *Demo) signVerification(ctx context.Context, name string) error {
	var slots []SignOffSlot
	err := Poll(ctx, 10*d.Day+time.Minute, "the verification can be signed", func() (bool, error) {
		v, err := d.admin.Verification(ctx, name)
		slots = v.SignOffs
		return v.Signable, err
	})
	if err != nil {
		return err
	}
	for _, slot := range slots {
		signer := d.signers[slot.Role]
		if signer == nil {
			return fmt.Errorf("sign the verification: the demonstration has nobody for the role %s", slot.Role)
		}
		if err := signer.SignVerification(ctx, name, slot); err != nil {
			return err
		}
		d.say("%s signed the verification", slot.Role)
	}
	return nil
}

func onlySignOffs(reasons []Reason) bool {
	for _, r := range reasons {
		if r.Code != "gate_sign_off_missing" {
			return false
		}
	}
	return true
}
