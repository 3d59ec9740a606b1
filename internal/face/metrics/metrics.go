// Package metrics shows the last samples of a fleet to Prometheus: a gauge for
// each measure of each device, and one for each probe. Whoever asks shows an API
// token, and sees its tenant's devices only.
//
// It keeps nothing between two scrapes: what a device last said is in the
// database, and a device that is gone is gone at once. A Handler is safe from
// any goroutine.
package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/wire"
)

// Path is where Prometheus scrapes.
const Path = "/metrics"

// mostDevices bounds one answer: two million lines of text are no longer read
// within a scrape's time.
const mostDevices = 50_000

// Options of a Handler.
type Options struct {
	// Bearer tells whose an API token is.
	Bearer func(ctx context.Context, token string) (access.Principal, error)
	View   *view.Reader
	Log    *slog.Logger
}

// Handler of Path.
type Handler struct{ Options }

// New makes a handler.
func New(o Options) *Handler { return &Handler{o} }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "an API token is wanted: Authorization: Bearer …", http.StatusUnauthorized)
		return
	}
	who, err := h.Bearer(r.Context(), token)
	if err == nil {
		err = who.Need(access.See)
	}
	if err != nil {
		h.refuse(w, err)
		return
	}
	metrics, err := h.read(r.Context(), who.Tenant)
	if err != nil {
		h.refuse(w, err)
		return
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(metrics); err != nil {
		h.refuse(w, err)
		return
	}
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// refuse tells an outage, after which a scrape is tried again, from a refusal.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	if fault.CanRetry(err) || fault.CodeOf(err) == "" {
		h.Log.Error("show metrics", "err", err)
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	http.Error(w, string(fault.CodeOf(err)), http.StatusUnauthorized)
}

// lines are the metrics of one scrape.
type lines []prometheus.Metric

// Describe implements prometheus.Collector: what there is depends on the fleet.
func (l lines) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (l lines) Collect(out chan<- prometheus.Metric) {
	for _, m := range l {
		out <- m
	}
}

func (h *Handler) read(ctx context.Context, tenant fleet.TenantID) (lines, error) {
	var out lines
	gauges := describe(tenant)
	var after fleet.DeviceID
	for devices := 0; devices < mostDevices; {
		page, err := h.View.Samples(ctx, tenant, after)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if out, err = gauges.add(out, d); err != nil {
				return nil, fmt.Errorf("metrics of %s: %w", d.Device.ID, err)
			}
		}
		if len(page) < view.MaxLimit {
			break
		}
		devices, after = devices+len(page), page[len(page)-1].Device.ID
	}
	return out, nil
}

// gauges are what is said of each device.
type gauges struct {
	measures map[wire.Measure]*prometheus.Desc
	sampled  *prometheus.Desc
	probe    *prometheus.Desc
}

func describe(tenant fleet.TenantID) gauges {
	of := prometheus.Labels{"tenant": string(tenant)}
	labels := []string{"device", "id", "kind"}
	g := gauges{
		measures: map[wire.Measure]*prometheus.Desc{},
		sampled:  prometheus.NewDesc("patchring_device_sampled_timestamp_seconds", "When the device took its last sample.", labels, of),
		probe:    prometheus.NewDesc("patchring_probe_up", "Whether the probe last found what it looks for.", append(labels, "probe"), of),
	}
	for _, m := range wire.Measures() {
		g.measures[m] = prometheus.NewDesc("patchring_device_"+string(m), "Last sample of the measure "+string(m)+".", labels, of)
	}
	return g
}

func (g gauges) add(out lines, d view.DeviceSample) (lines, error) {
	labels := []string{d.Device.Name, string(d.Device.ID), string(d.Kind)}
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) error {
		m, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, v, labels...)
		out = append(out, m)
		return err
	}
	if err := gauge(g.sampled, float64(d.At.UnixMilli())/1000, labels...); err != nil {
		return nil, err
	}
	for _, m := range wire.Measures() {
		v, known := d.Values[m]
		if !known {
			continue
		}
		if err := gauge(g.measures[m], v, labels...); err != nil {
			return nil, err
		}
	}
	for _, p := range d.Probes {
		up := 0.0
		switch p.State {
		case wire.ProbeUp:
			up = 1
		case wire.ProbeDown:
		default:
			continue // it was not made
		}
		if err := gauge(g.probe, up, append(labels, p.Name)...); err != nil {
			return nil, err
		}
	}
	return out, nil
}
