package holder

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path"
	"time"
)

// serveMirror serves Debian's updates, the versions before them and the lab's own
// repository. Requests are logged: which host fetched what.
func (k *keeper) serveMirror(fail context.CancelCauseFunc) error {
	mux := http.NewServeMux()
	mux.Handle("/debian-security/", http.FileServer(http.Dir(k.spec.Mirror)))
	mux.Handle("/previous/", http.FileServer(http.Dir(k.spec.Mirror)))
	mux.Handle("/lab/", http.StripPrefix("/lab/", http.FileServer(http.Dir(k.spec.Repo))))
	server := &http.Server{Handler: k.logged(mux), ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", net.JoinHostPort(ServerAddress, MirrorPort))
	if err != nil {
		return err
	}
	go func() { fail(fmt.Errorf("serve mirror: %w", server.Serve(listener))) }()
	return nil
}

func (k *keeper) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		// apt names files of a flat repository with "/./", which a ServeMux would
		// redirect at each request.
		r.URL.Path = path.Clean(r.URL.Path)
		next.ServeHTTP(answer, r)
		k.log.Info("mirror request", "path", r.URL.Path, "from", r.RemoteAddr, "status", answer.status)
	})
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the file server reach what the wrapper hides.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
