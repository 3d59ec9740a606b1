package fleet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func table(t *testing.T, n int) []Host {
	t.Helper()
	hosts, err := Table(n)
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

func TestTableGrowsWithoutChanging(t *testing.T) {
	large := table(t, 400)
	for _, n := range []int{1, 3, 25, 26, 399} {
		if diff := cmp.Diff(large[:n], table(t, n)); diff != "" {
			t.Fatalf("the first %d hosts differ in a larger table:\n%s", n, diff)
		}
	}
}

func TestThreeHostsShowThreeRings(t *testing.T) {
	got := map[Ring]string{}
	for _, h := range table(t, 3) {
		got[h.Ring] = h.Name
	}
	want := map[Ring]string{RingPilot: "IT-PC-01", RingUsers: "FIN-PC-01", RingGlobal: "RH-PC-01"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTableNamesAndAddressesAreUnique(t *testing.T) {
	names, addresses := map[string]bool{}, map[string]bool{}
	for _, h := range table(t, 60_000) {
		if names[h.Name] || addresses[h.Address] {
			t.Fatalf("%s or %s occurs twice", h.Name, h.Address)
		}
		names[h.Name], addresses[h.Address] = true, true
		if strings.HasPrefix(h.Address, "10.99.0.") || strings.Count(h.Address, ".") != 3 {
			t.Fatalf("%s has the address %s", h.Name, h.Address)
		}
	}
}

func TestSitesDoNotShareNetworks(t *testing.T) {
	siteOf := map[string]string{}
	for _, h := range table(t, 60_000) {
		network := h.Address[:strings.LastIndex(h.Address, ".")]
		if site, ok := siteOf[network]; ok && site != h.Site {
			t.Fatalf("network %s is in %s and in %s", network, site, h.Site)
		}
		siteOf[network] = h.Site
	}
}

func TestPilotRingsStaySmall(t *testing.T) {
	rings := map[Ring]int{}
	kinds := map[Kind]int{}
	for _, h := range table(t, 10000) {
		rings[h.Ring]++
		kinds[h.Kind]++
	}
	if rings[RingPilot] != 30 || rings[RingUsers] != 50 {
		t.Errorf("R0 has %d hosts and R1 %d, want 30 and 50", rings[RingPilot], rings[RingUsers])
	}
	for _, k := range []Kind{KindWorkstation, KindServer, KindCritical} {
		if kinds[k] == 0 {
			t.Errorf("no host is a %s", k)
		}
	}
}

func TestOwnersAreRoles(t *testing.T) {
	for _, h := range table(t, len(pattern)) {
		if !strings.HasSuffix(h.Owner, "@entreprise.example") || strings.Contains(h.Owner, ".e@") {
			t.Errorf("%s belongs to %s", h.Name, h.Owner)
		}
		if strings.Contains(strings.TrimSuffix(h.Owner, "@entreprise.example"), ".") {
			t.Errorf("%s: %s reads like a person", h.Name, h.Owner)
		}
	}
}

func TestTableRefusesWhatItCannotAddress(t *testing.T) {
	for _, n := range []int{-1, 0, TableLimit + 1} {
		if _, err := Table(n); err == nil {
			t.Errorf("Table(%d) was accepted", n)
		}
	}
}

func TestNamedKeepsTheInventoryAndAcceptsOthers(t *testing.T) {
	hosts, err := Named([]string{"PAIE-PC-01", "spare"})
	if err != nil {
		t.Fatal(err)
	}
	if hosts[0].Department != "payroll" || hosts[0].Address != table(t, 4)[3].Address {
		t.Errorf("PAIE-PC-01 = %+v", hosts[0])
	}
	if hosts[1].Kind != KindWorkstation || hosts[1].Address == "" {
		t.Errorf("spare = %+v", hosts[1])
	}
	for _, names := range [][]string{nil, {"a", "a"}, {""}, {"-x"}, {"a b"}, {"../x"}, {Lan}} {
		if _, err := Named(names); err == nil {
			t.Errorf("Named(%q) was accepted", names)
		}
	}
}
