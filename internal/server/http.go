package server

import (
	"encoding/json"
	"net/http"
)

// handler puts the faces on one port.
func (s *Server) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	return mux, nil
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
