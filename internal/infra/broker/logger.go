package broker

import (
	"fmt"
	"log/slog"
)

// logger passes the NATS server's lines on. They are prose about addresses and
// connections; what happens to a device is logged by the gatekeeper.
type logger struct {
	log   *slog.Logger
	fatal chan<- string
}

func (l logger) Noticef(format string, v ...any) {
	l.log.Debug("nats", "text", fmt.Sprintf(format, v...))
}
func (l logger) Warnf(format string, v ...any) { l.log.Warn("nats", "text", fmt.Sprintf(format, v...)) }
func (l logger) Errorf(format string, v ...any) {
	l.log.Warn("nats", "text", fmt.Sprintf(format, v...))
}
func (l logger) Debugf(string, ...any) {} // not enabled
func (l logger) Tracef(string, ...any) {} // not enabled: it would show payloads

func (l logger) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error("nats", "text", text)
	select {
	case l.fatal <- text:
	default: // Start has its reason already, or has long returned
	}
}
