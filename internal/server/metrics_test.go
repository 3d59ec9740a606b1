package server_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"patchring/internal/core/fleet"
	"patchring/internal/server"
	"patchring/wire"
)

// Prometheus reads what devices last said: with its own parser, and with an API
// token only. Without the setting there is nothing to read.
func TestPrometheusReadsTheLastSamples(t *testing.T) {
	for _, on := range []bool{true, false} {
		dir := t.TempDir()
		srv, err := server.New(t.Context(), server.Options{
			Config: server.Config{Data: dir, Listen: "127.0.0.1:0", Broker: "127.0.0.1:0", Names: []string{"127.0.0.1"}, Metrics: on}, Version: "test", Log: quiet(),
		})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, now: time.Now(), srv: srv, devices: map[string]*fakeDevice{}}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- srv.Run(ctx) }()
		d := w.device("twin", fleet.Server, "", nil, nil)
		w.told(d, `[{"name":"web"},{"name":"forbidden"}]`)
		m := w.measured(0, 41.5)
		m.Sample.Probes = []wire.ProbeState{{Name: "web", State: wire.ProbeDown, AtUS: m.NowUS, SinceUS: m.NowUS}, vetoed("forbidden", m.NowUS)}
		w.measures(d, m)
		w.measures(w.device("twin", fleet.Workstation, "", nil, nil), w.measured(0, 1)) // of the same name
		admin, err := srv.Access.Login(ctx, srv.First.Name, srv.First.Password)
		w.must(err)
		token, err := srv.Access.CreateToken(ctx, admin, "prometheus", time.Hour)
		w.must(err)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: srv.Keys.Pool()}, DisableKeepAlives: true}}
		scrape := func(authorization string) *http.Response {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL()+"/metrics", nil)
			w.must(err)
			r.Header.Set("Authorization", authorization)
			res, err := client.Do(r)
			w.must(err)
			return res
		}
		res := scrape("Bearer " + token.Text)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		if !on {
			families, err := parser.TextToMetricFamilies(res.Body)
			if err == nil || len(families) > 0 {
				t.Errorf("without the setting it reads %d families", len(families))
			}
		} else {
			families, err := parser.TextToMetricFamilies(res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("status %d, %v", res.StatusCode, err)
			}
			cpu, up := families["patchring_device_cpu_percent"], families["patchring_probe_up"]
			if len(cpu.GetMetric()) != 2 || cpu.GetMetric()[0].GetGauge().GetValue() != 41.5 || len(up.GetMetric()) != 1 || up.GetMetric()[0].GetGauge().GetValue() != 0 {
				t.Errorf("read %v and %v", cpu, up)
			}
			labels := map[string]string{}
			for _, l := range up.GetMetric()[0].GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["tenant"] != "main" || labels["device"] != "twin" || labels["kind"] != "server" || labels["probe"] != "web" || labels["id"] != string(d.id) {
				t.Errorf("labels %v", labels)
			}
			if at := families["patchring_device_sampled_timestamp_seconds"].GetMetric()[0].GetGauge().GetValue(); at < float64(w.now.Add(-time.Minute).Unix()) {
				t.Errorf("sampled at %f", at)
			}
			for _, wrong := range []string{"", "Bearer nonsense", "Basic x"} {
				refused := scrape(wrong)
				if refused.Body.Close(); refused.StatusCode != http.StatusUnauthorized {
					t.Errorf("%q: %d", wrong, refused.StatusCode)
				}
			}
		}
		res.Body.Close()
		stop()
		w.must(<-ended)
		w.must(srv.Close())
	}
}
