package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/server"
)

// serveOptions are the flags of serve. A flag that was given wins over the
// configuration file.
type serveOptions struct {
	config     string
	firstLogin string
	set        server.Config
	checkin    time.Duration
	debug      bool
}

func newServe(version string) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: console, API, enrolment and the agents' broker",
		Long: `Runs a whole site in one process: HTTPS for console, API and enrolment, the
broker that agents connect to, the database. The first run makes the site's
keys and an administrator, and prints how to log in, once.

Exit status: 0 when it was asked to stop, 1 when it could not run.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd, version) },
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration file (YAML); an unknown key is an error")
	f.StringVar(&o.set.Data, "data", "", "folder of keys and database (default "+server.DefaultData+")")
	f.StringVar(&o.set.Listen, "listen", "", "HTTPS address (default "+server.DefaultListen+")")
	f.StringVar(&o.set.Broker, "broker", "", "address of the agents' broker (default "+server.DefaultBroker+")")
	f.StringVar(&o.set.WebSocket, "websocket", "", "a second door to the broker, for sites that let only HTTPS out")
	f.StringArrayVar(&o.set.Names, "name", nil, "DNS name or address of this server; the first is what agents are told (repeatable)")
	f.StringVar(&o.set.Database, "database", "", "file, or postgres://… (default patchring.db in the data folder)")
	f.StringVar(&o.set.Certificate, "certificate", "", "the organisation's own certificate for HTTPS, with its chain (PEM)")
	f.StringVar(&o.set.Key, "key", "", "its key (PEM)")
	f.DurationVar(&o.checkin, "checkin", 0, "the agents' heartbeat (default 1m)")
	f.StringVar(&o.firstLogin, "first-login", "", "also write the first administrator's login to this file, readable by its owner only")
	f.BoolVar(&o.debug, "debug", false, "log more")
	return cmd
}

// gcPercent trades a little of the processor for memory: most of the heap is what
// the broker keeps for each connection, and lives as long as the connection.
const gcPercent = 60

func (o serveOptions) run(cmd *cobra.Command, version string) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	config, err := o.configuration()
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if o.debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	s, err := server.New(cmd.Context(), server.Options{Config: config, Version: version, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := o.showFirst(cmd.OutOrStdout(), s); err != nil {
		return err
	}
	log.Info("serving", "console", s.URL(), "version", version)
	return s.Run(cmd.Context())
}

func (o serveOptions) configuration() (server.Config, error) {
	var c server.Config
	var err error
	if o.config != "" {
		if c, err = server.ReadConfig(o.config); err != nil {
			return c, err
		}
	}
	if o.checkin < 0 {
		return c, fmt.Errorf("--checkin %s: give a positive duration", o.checkin)
	}
	o.set.Checkin = server.Duration(o.checkin)
	return c.With(o.set), nil
}

// showFirst prints the first administrator's login, the only time it is known.
func (o serveOptions) showFirst(w io.Writer, s *server.Server) error {
	first, url := s.First, s.URL()
	if first.Password == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, `
This is the first run. An administrator was made:

    console   %s
    user      %s
    password  %s

The password is shown this once. The site's own CA has the fingerprint

    %s

From a shell: patchring login %s --user %s

`, url, first.Name, first.Password, s.Keys.Fingerprint(), url, first.Name)
	if err != nil || o.firstLogin == "" {
		return err
	}
	text, err := json.Marshal(first)
	if err != nil {
		return fmt.Errorf("encode the first login: %w", err)
	}
	if err := os.WriteFile(o.firstLogin, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the first login: %w", err)
	}
	return nil
}
