package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"patchring/lab/fleet"
)

// hostLine is a host as status prints it.
type hostLine struct {
	fleet.Host
	Power  string    `json:"power"`
	Cut    bool      `json:"cut"`
	Boots  int       `json:"boots"`
	BootID string    `json:"boot_id,omitempty"`
	Since  time.Time `json:"since"`
	Ended  string    `json:"ended,omitempty"`
}

func newStatusCommand(t *target) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show the hosts of a lab",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := t.attach(cmd.Context())
			if errors.Is(err, fleet.ErrNotUp) {
				return withOthers(err, t.dir)
			}
			if err != nil {
				return err
			}
			return errors.Join(printStatus(cmd, f, asJSON), f.Close())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// withOthers adds the labs that could have been meant.
func withOthers(cause error, dir string) error {
	names, err := fleet.Names(dir)
	if err != nil {
		return errors.Join(cause, err)
	}
	if len(names) == 0 {
		return cause
	}
	return fmt.Errorf("%w; up are: %q", cause, names)
}

func printStatus(cmd *cobra.Command, f *fleet.Fleet, asJSON bool) error {
	status, err := f.Status(cmd.Context())
	if err != nil {
		return err
	}
	lines := make([]hostLine, len(status))
	for i, h := range f.Hosts() {
		s := status[i]
		lines[i] = hostLine{Host: h, Power: string(s.Power), Cut: s.Cut, Boots: s.Boots, BootID: s.BootID, Since: s.Since, Ended: s.Ended}
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), lines)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tADDRESS\tKIND\tDEPARTMENT\tRING\tPOWER\tNETWORK\tBOOTS\tUP")
	for _, l := range lines {
		network := "connected"
		if l.Cut {
			network = "cut"
		}
		up := "-"
		if l.BootID != "" {
			up = time.Since(l.Since).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", l.Name, l.Address, l.Kind, l.Department, l.Ring, l.Power, network, l.Boots, up)
	}
	return w.Flush()
}

func printJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}
