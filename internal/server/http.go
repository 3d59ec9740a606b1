package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"patchring/internal/face/api"
	"patchring/internal/face/console"
	"patchring/internal/face/console/source"
	"patchring/internal/face/feed"
	"patchring/internal/face/metrics"
	"patchring/internal/service/herald"
	"patchring/wire"
)

// handler puts the faces on one port.
func (s *Server) handler() (http.Handler, error) {
	sessions := s.Access.Sessions()
	a := api.New(api.Options{
		Access: s.Access, Sessions: sessions, View: s.View,
		Conductor: s.Conductor, Foresight: s.Foresight, Roster: s.Roster, Rulebook: s.Rulebook, Survey: s.Survey,
		Desk: s.Desk, Personal: s.Personal, Incidents: s.Incidents, Tests: s.Tests, Tickets: s.Tickets,
		Cleaner: s.Cleaner, Sampler: s.Sampler, Catalogue: s.Catalogue, Passport: s.Passport, Dossiers: s.Dossiers,
		Watch: s.Watch, Herald: s.Herald,
		Listen: s.pulse.listen, Backup: s.backup, Clock: s.Clock, Log: s.Log, Version: s.Version,
	})
	pages, err := console.New(console.Options{
		Reader: &source.Source{
			View: s.View, Why: s.Conductor, Rules: s.Rulebook, Survey: s.Survey, Probers: s.Sampler, Clock: s.Clock, Foresight: s.Foresight,
		},
		Acts: s.Conductor, Roster: s.Roster, Rulebook: s.Rulebook, Accounts: s.Access,
		Desk: s.Desk, Personal: s.Personal, Incidents: s.Incidents, Tests: s.Tests, Tickets: s.Tickets,
		Cleaner: s.Cleaner, Dossiers: s.Dossiers,
		Alerts: s.View, Watch: s.Watch, Herald: s.Herald,
		Sessions: sessions, Listen: s.pulse.listen, Zone: s.zone(), Clock: s.Clock, Log: s.Log,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("POST /hooks/tickets/{connector}", s.ticketHook)
	mux.Handle(api.Prefix+"/", a)
	mux.Handle(wire.EnrollPath, a)
	if s.Metrics {
		mux.Handle("GET "+metrics.Path, metrics.New(metrics.Options{Bearer: s.Access.Bearer, View: s.View, Log: s.Log}))
	}
	mux.Handle(herald.FeedPath, feed.New(feed.Options{View: s.View, Open: s.Herald.OpenLink, Windows: s.Rulebook.Windows, Base: s.URL, Zone: s.zone(), Clock: s.Clock, Log: s.Log}))
	mux.Handle("/", pages)
	return mux, nil
}

// zone is the one in which the console tells times that no procedure places.
func (s *Server) zone() *time.Location {
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return time.Local // complete has refused anything else
	}
	return zone
}

// backup writes a consistent copy of the database, by way of a file beside it:
// SQLite copies into a file, and a stream that broke off must not be taken for
// a whole one.
func (s *Server) backup(ctx context.Context, w io.Writer) error {
	dir, err := os.MkdirTemp(s.Data, "backup-")
	if err != nil {
		return fmt.Errorf("make room for the backup: %w", err)
	}
	path := filepath.Join(dir, "patchring.db")
	err = s.DB.Backup(ctx, path)
	if err == nil {
		err = copyFile(w, path)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the backup: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("send the backup: %w", err)
	}
	return nil
}

// health tells whether the server can do its work: it asks the database.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusOK, "ok"
	if err := s.DB.Ping(r.Context()); err != nil {
		s.Log.Error("health", "err", err)
		status, text = http.StatusServiceUnavailable, "database"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(map[string]string{"status": text, "version": s.Version}); err != nil {
		s.Log.Debug("health", "err", err)
	}
}
