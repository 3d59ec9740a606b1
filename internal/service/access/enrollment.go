package access

import (
	"context"
	"fmt"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Enrollment is what an enrolment token gives to the devices that use it.
type Enrollment struct {
	ID       string     `json:"id"`
	Kind     fleet.Kind `json:"kind"`
	Tags     fleet.Tags `json:"tags"`
	Groups   []string   `json:"groups"`
	UsesLeft int64      `json:"uses_left"`
	Created  time.Time  `json:"created"`
	Expires  time.Time  `json:"expires"`
	Actor    string     `json:"actor"`
}

// NewEnrollment is an enrolment token with its text, shown once.
type NewEnrollment struct {
	Enrollment
	Text string `json:"text"`
}

// Invite asks for an enrolment token.
type Invite struct {
	Kind   fleet.Kind // empty: workstation
	Tags   fleet.Tags
	Groups []string // made when they do not exist
	Uses   int64    // 0: one
	Life   time.Duration
}

// Limits of an enrolment token.
const (
	DefaultInviteLife = 24 * time.Hour
	MaxInviteLife     = 366 * 24 * time.Hour
	MaxInviteUses     = 100_000
	listedInvites     = 500
	maxGroups         = 50
	maxGroupName      = 63
)

func (i Invite) complete() (Invite, error) {
	if i.Kind == "" {
		i.Kind = fleet.Workstation
	}
	if i.Uses == 0 {
		i.Uses = 1
	}
	if i.Life == 0 {
		i.Life = DefaultInviteLife
	}
	if i.Tags == nil {
		i.Tags = fleet.Tags{}
	}
	if i.Groups == nil {
		i.Groups = []string{}
	}
	return i, i.check()
}

func (i Invite) check() error {
	if _, err := fleet.ParseKind(string(i.Kind)); err != nil {
		return invalid("kind", "not_a_choice", "workstation, server, critical")
	}
	if i.Uses < 1 || i.Uses > MaxInviteUses {
		return invalid("uses", "out_of_range", fmt.Sprintf("1 - %d", MaxInviteUses))
	}
	if i.Life < time.Minute || i.Life > MaxInviteLife {
		return invalid("life", "out_of_range", "1m - 8784h")
	}
	if err := fleet.CheckTags(i.Tags); err != nil {
		return err
	}
	if len(i.Groups) > maxGroups {
		return invalid("groups", "too_many", fmt.Sprint(maxGroups))
	}
	for _, g := range i.Groups {
		if !roleWord.MatchString(g) || len(g) > maxGroupName {
			return invalid("groups", "not_a_word", "a-z 0-9 -")
		}
	}
	return nil
}

// CreateEnrollment makes an enrolment token.
func (s *Service) CreateEnrollment(ctx context.Context, p Principal, invite Invite) (NewEnrollment, error) {
	if err := p.Need(EnrollAct); err != nil {
		return NewEnrollment{}, err
	}
	invite, err := invite.complete()
	if err != nil {
		return NewEnrollment{}, err
	}
	t, err := identity.NewEnrollmentToken(s.opts.Random, s.opts.Keys.Fingerprint())
	if err != nil {
		return NewEnrollment{}, err
	}
	now := s.now()
	out := NewEnrollment{Text: t.Reveal(), Enrollment: Enrollment{
		ID: t.ID, Kind: invite.Kind, Tags: invite.Tags, Groups: invite.Groups, UsesLeft: invite.Uses,
		Created: now, Expires: now.Add(invite.Life), Actor: string(p.Actor()),
	}}
	tags, err := encoded(invite.Tags)
	if err != nil {
		return NewEnrollment{}, err
	}
	groups, err := encoded(invite.Groups)
	if err != nil {
		return NewEnrollment{}, err
	}
	err = s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		for _, g := range invite.Groups {
			if err := tx.AddGroup(ctx, gen.AddGroupParams{Tenant: string(p.Tenant), Name: g, CreatedUs: now.UnixMicro()}); err != nil {
				return err
			}
		}
		s.record(tx, p, register.EnrolmentCreated, map[string]any{
			"enrollment": t.ID, "kind": string(invite.Kind), "uses": invite.Uses, "expires": out.Expires.Format(time.RFC3339),
			"tags": tags, "groups": strings.Join(invite.Groups, ","),
		})
		return tx.AddEnrollment(ctx, gen.AddEnrollmentParams{
			Tenant: string(p.Tenant), ID: t.ID, Hash: string(t.Secret.Hash()), Kind: string(invite.Kind), Tags: tags, GroupNames: groups,
			UsesLeft: invite.Uses, CreatedUs: now.UnixMicro(), ExpiresUs: out.Expires.UnixMicro(), Actor: string(p.Actor()),
		})
	})
	if err != nil {
		return NewEnrollment{}, fmt.Errorf("create enrolment token: %w", err)
	}
	return out, nil
}

// ListEnrollments lists the tokens that a device can still use.
func (s *Service) ListEnrollments(ctx context.Context, p Principal) ([]Enrollment, error) {
	if err := p.Need(EnrollAct); err != nil {
		return nil, err
	}
	rows, err := s.opts.DB.Read().Enrollments(ctx, gen.EnrollmentsParams{Tenant: string(p.Tenant), NowUs: s.now().UnixMicro(), Max: listedInvites})
	if err != nil {
		return nil, fmt.Errorf("read enrolment tokens: %w", err)
	}
	out := make([]Enrollment, 0, len(rows))
	for _, row := range rows {
		e, err := enrollmentOf(row)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func enrollmentOf(row gen.Enrollment) (Enrollment, error) {
	e := Enrollment{ID: row.ID, Kind: fleet.Kind(row.Kind), UsesLeft: row.UsesLeft, Created: instant(row.CreatedUs), Expires: instant(row.ExpiresUs), Actor: row.Actor}
	var err error
	if e.Groups, err = texts("groups", row.GroupNames); err != nil {
		return e, err
	}
	e.Tags, err = tagsOf(row.Tags)
	return e, err
}

// RevokeEnrollment takes away the uses a token has left.
func (s *Service) RevokeEnrollment(ctx context.Context, p Principal, id string) error {
	if err := p.Need(EnrollAct); err != nil {
		return err
	}
	err := s.opts.DB.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.RevokeEnrollment(ctx, string(p.Tenant), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.NotFound, "what", "enrollment", "name", id)
		}
		s.record(tx, p, register.EnrolmentRevoked, map[string]any{"enrollment": id})
		return nil
	})
	if err != nil {
		return fmt.Errorf("revoke enrolment token %s: %w", id, err)
	}
	return nil
}
