package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"patchring/internal/service/ticket"
)

// Config is what an operator may set. The zero value with a data directory is
// a whole site on one machine.
type Config struct {
	// Data holds the keys and, by default, the database.
	Data string `yaml:"data"`
	// Listen is the HTTPS address of console, API and enrolment.
	Listen string `yaml:"listen"`
	// Broker is the address agents keep a connection to.
	Broker string `yaml:"broker"`
	// WebSocket is a second door to the broker for sites that let only HTTPS
	// out; empty: none.
	WebSocket string `yaml:"websocket"`
	// Names are the DNS names and addresses by which agents and browsers reach
	// the server; the first one is what agents are told.
	Names []string `yaml:"names"`
	// Database is a file or postgres://…; empty: patchring.db in Data.
	Database string `yaml:"database"`
	// Certificate and Key are the organisation's own, for HTTPS; empty: the
	// site's CA issues one.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// Zone is the IANA name of the zone in which the console tells times.
	Zone string `yaml:"zone"`
	// Checkin is the agents' heartbeat.
	Checkin Duration `yaml:"checkin"`
	// Silent is after how long without a word a device shows as unreachable.
	Silent Duration `yaml:"silent"`
	// MeasuresKept is for how long the hourly measures of devices are kept.
	MeasuresKept Duration `yaml:"measures_kept"`
	// Metrics shows the last samples at /metrics, to whoever has an API token.
	Metrics bool `yaml:"metrics"`
	// Tickets are the tools that incidents are written into. They stand here and
	// not in a tenant's hands: who runs the server says whom it speaks to.
	Tickets []ticket.Config `yaml:"tickets"`
}

// Duration is a time.Duration written as 90s, 5m, 72h.
type Duration time.Duration

// UnmarshalYAML refuses what is not a duration: it never means zero.
func (d *Duration) UnmarshalYAML(node *yaml.Node) error {
	parsed, err := time.ParseDuration(node.Value)
	if err != nil || parsed <= 0 {
		return fmt.Errorf("line %d: %q is not a duration: write 90s, 5m or 72h", node.Line, node.Value)
	}
	*d = Duration(parsed)
	return nil
}

// Defaults of what is not set.
const (
	DefaultData    = "/var/lib/patchring"
	DefaultListen  = ":8443"
	DefaultBroker  = ":4222"
	DefaultZone    = "Europe/Paris"
	DefaultCheckin = time.Minute
	DefaultSilent  = 72 * time.Hour
	// DefaultMeasuresKept is five weeks: the month a device is compared with, and
	// the campaign that is judged.
	DefaultMeasuresKept = 35 * 24 * time.Hour
)

// Bounds of measures_kept: a week to compare with, and two years.
const (
	leastMeasuresKept = 7 * 24 * time.Hour
	mostMeasuresKept  = 2 * 366 * 24 * time.Hour
)

// ReadConfig reads a file. A key it does not know is an error with its line: a
// setting that is misspelt would otherwise look like one that is obeyed.
func ReadConfig(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	var c Config
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return c, nil
}

// With gives what is set in o the last word.
func (c Config) With(o Config) Config {
	c.Data, c.Listen, c.Broker = or(o.Data, c.Data), or(o.Listen, c.Listen), or(o.Broker, c.Broker)
	c.WebSocket, c.Database = or(o.WebSocket, c.WebSocket), or(o.Database, c.Database)
	c.Certificate, c.Key = or(o.Certificate, c.Certificate), or(o.Key, c.Key)
	c.Zone = or(o.Zone, c.Zone)
	c.Checkin, c.Silent = or(o.Checkin, c.Checkin), or(o.Silent, c.Silent)
	c.MeasuresKept = or(o.MeasuresKept, c.MeasuresKept)
	c.Metrics = c.Metrics || o.Metrics
	if len(o.Names) > 0 {
		c.Names = o.Names
	}
	if len(o.Tickets) > 0 {
		c.Tickets = o.Tickets
	}
	return c
}

// complete fills in what was left out, and refuses what cannot be.
func (c Config) complete() (Config, error) {
	c.Data = or(c.Data, DefaultData)
	c.Listen = or(c.Listen, DefaultListen)
	c.Broker = or(c.Broker, DefaultBroker)
	c.Database = or(c.Database, filepath.Join(c.Data, "patchring.db"))
	c.Zone = or(c.Zone, DefaultZone)
	if _, err := time.LoadLocation(c.Zone); err != nil {
		return c, fmt.Errorf("configuration: zone %q is not a time zone: write Europe/Paris", c.Zone)
	}
	c.Checkin = or(c.Checkin, Duration(DefaultCheckin))
	c.Silent = or(c.Silent, Duration(DefaultSilent))
	c.MeasuresKept = or(c.MeasuresKept, Duration(DefaultMeasuresKept))
	if d := time.Duration(c.MeasuresKept); d < leastMeasuresKept || d > mostMeasuresKept {
		return c, fmt.Errorf("configuration: measures_kept: %s is not between %s and %s: write 840h for five weeks", d, leastMeasuresKept, mostMeasuresKept)
	}
	if (c.Certificate == "") != (c.Key == "") {
		return c, errors.New("configuration: certificate and key go together")
	}
	for _, address := range []string{c.Listen, c.Broker} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return c, fmt.Errorf("configuration: address %q: write host:port or :port", address)
		}
	}
	var err error
	if c.Tickets, err = ticket.Check(c.Tickets); err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	if len(c.Names) == 0 {
		name, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("configuration: names: %w", err)
		}
		c.Names = []string{name, "localhost", "127.0.0.1"}
	}
	return c, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
