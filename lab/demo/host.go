package demo

import (
	"context"
	"fmt"
	"strings"

	"patchring/lab/debian"
	"patchring/lab/fleet"
)

// Agent is where a host finds the agent's binary.
const Agent = debian.Share + "/patchring-agent"

// Enrol invites one host with what the inventory says of it, and installs its
// agent as a service.
func Enrol(ctx context.Context, s *Server, admin *Client, h fleet.Host) error {
	f := s.fleet
	tags := map[string]string{"department": h.Department, "owner": h.Owner, "site": h.Site, "ring": strings.ToLower(string(h.Ring))}
	token, err := admin.Invite(ctx, string(h.Kind), tags, groupsOf(h.Ring), 1)
	if err != nil {
		return fmt.Errorf("invite %s: %w", h.Name, err)
	}
	if out, err := f.Run(ctx, h.Name, Agent, "enroll", "https://"+s.HTTPS(), token, "--name", h.Name); err != nil {
		return fmt.Errorf("enrol: %w: %s", err, out)
	}
	if out, err := f.Run(ctx, h.Name, Agent, "install"); err != nil {
		return fmt.Errorf("install the agent's service: %w: %s", err, out)
	}
	return nil
}

// groupsOf are the groups that the example procedure knows.
func groupsOf(ring fleet.Ring) []string {
	switch ring {
	case fleet.RingPilot:
		return []string{"it-pilots"}
	case fleet.RingUsers:
		return []string{"pilot-users"}
	default:
		return nil
	}
}
