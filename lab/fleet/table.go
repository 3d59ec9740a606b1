package fleet

import (
	"fmt"
	"strings"
)

// Kind is what a host is used as.
type Kind string

// The kinds of devices.
const (
	KindWorkstation Kind = "workstation"
	KindServer      Kind = "server"
	KindCritical    Kind = "critical"
)

// Ring is where a procedure would put a host.
type Ring string

// The rings of the usual procedure.
const (
	RingPilot  Ring = "R0"
	RingUsers  Ring = "R1"
	RingGlobal Ring = "GLOBAL"
)

// Host is a host as the inventory of an IT department has it.
type Host struct {
	Name       string   `json:"name"`
	Address    string   `json:"address"`
	Kind       Kind     `json:"kind"`
	Department string   `json:"department"`
	Owner      string   `json:"owner"` // a role's or a team's address, never a person
	Site       string   `json:"site"`
	Ring       Ring     `json:"ring"` // a hint: procedures decide
	Tags       []string `json:"tags"`
}

// sites are the places of the department, each with networks of its own.
var sites = []string{"paris", "lyon", "nantes", "lille"}

// A site owns this many consecutive /24 networks, with this many hosts in each.
const (
	networksPerSite = 60
	hostsPerNetwork = 240
	firstHost       = 11 // 10.99.0.1 is the server; the first addresses are left to equipment
)

// TableLimit is how many hosts the table can give an address. Beyond what the lab's
// own bridge holds, sites go on in 10.100 and so on: such tables are for simulated
// devices.
const TableLimit = 1_000_000

// place is one line of the pattern after which the table is made.
type place struct {
	prefix     string
	department string
	owner      string
	site       int
	kind       Kind
	ring       Ring
	tags       string
}

// pattern is walked through again and again; each time round, a prefix's number
// grows. Its beginning is chosen so that three hosts already show three rings, six
// the departments that close at month's end, and ten the servers.
var pattern = []place{
	{"IT-PC", "it", "support", 0, KindWorkstation, RingPilot, "it-team"},
	{"FIN-PC", "finance", "finance", 0, KindWorkstation, RingUsers, "key-user"},
	{"RH-PC", "human-resources", "rh", 0, KindWorkstation, RingGlobal, ""},
	{"PAIE-PC", "payroll", "paie", 0, KindWorkstation, RingGlobal, "month-end"},
	{"SRV-WEB", "it", "exploitation", 0, KindServer, RingGlobal, "web"},
	{"IT-PC", "it", "support", 1, KindWorkstation, RingPilot, "it-team"},
	{"COM-PC", "sales", "commerce", 1, KindWorkstation, RingUsers, "key-user laptop"},
	{"SRV-DB", "it", "exploitation", 0, KindServer, RingGlobal, "database"},
	{"LOG-PC", "logistics", "logistique", 2, KindWorkstation, RingUsers, "key-user"},
	{"SRV-TEST", "it", "exploitation", 0, KindServer, RingPilot, "it-team test"},
	{"COM-PC", "sales", "commerce", 1, KindWorkstation, RingGlobal, "laptop"},
	{"PROD-PC", "production", "production", 2, KindWorkstation, RingUsers, "key-user"},
	{"PROD-AUT", "production", "automatismes", 2, KindCritical, RingGlobal, "line"},
	{"FIN-PC", "finance", "finance", 0, KindWorkstation, RingGlobal, "month-end"},
	{"JUR-PC", "legal", "juridique", 0, KindWorkstation, RingGlobal, ""},
	{"DIR-PC", "management", "secretariat", 0, KindWorkstation, RingGlobal, "laptop vip"},
	{"COM-PC", "sales", "commerce", 3, KindWorkstation, RingGlobal, "laptop"},
	{"SRV-FIC", "it", "exploitation", 0, KindServer, RingGlobal, "files"},
	{"ACC-PC", "reception", "accueil", 3, KindWorkstation, RingUsers, "key-user shared"},
	{"PROD-PC", "production", "production", 2, KindWorkstation, RingGlobal, "shared"},
	{"LOG-PC", "logistics", "logistique", 2, KindWorkstation, RingGlobal, "shared"},
	{"COM-PC", "sales", "commerce", 1, KindWorkstation, RingGlobal, "laptop"},
	{"BADGE", "reception", "securite", 0, KindCritical, RingGlobal, "access-control"},
	{"COM-PC", "sales", "commerce", 3, KindWorkstation, RingGlobal, "laptop"},
	{"PROD-PC", "production", "production", 2, KindWorkstation, RingGlobal, "shared"},
}

// The pilot rings do not grow with the company: an IT department has its machines,
// and some fifty users stand for all.
const (
	pilotRounds = 10 // 3 hosts each
	usersRounds = 10 // 5 hosts each
)

// Table returns the first n hosts of the inventory, always the same: a larger table
// begins with the smaller one.
func Table(n int) ([]Host, error) {
	if n < 1 || n > TableLimit {
		return nil, fmt.Errorf("make host table: %d hosts, want 1 to %d", n, TableLimit)
	}
	hosts := make([]Host, 0, n)
	numbers := map[string]int{}
	inSite := make([]int, len(sites))
	for i := range n {
		p, round := pattern[i%len(pattern)], i/len(pattern)
		numbers[p.prefix]++
		hosts = append(hosts, Host{
			Name:       fmt.Sprintf("%s-%02d", p.prefix, numbers[p.prefix]),
			Address:    address(p.site, inSite[p.site]),
			Kind:       p.kind,
			Department: p.department,
			Owner:      p.owner + "@entreprise.example",
			Site:       sites[p.site],
			Ring:       ringOf(p.ring, round),
			Tags:       strings.Fields(p.tags),
		})
		inSite[p.site]++
	}
	return hosts, nil
}

func ringOf(r Ring, round int) Ring {
	switch {
	case r == RingPilot && round >= pilotRounds, r == RingUsers && round >= usersRounds:
		return RingGlobal
	}
	return r
}

func address(site, number int) string {
	const hostsPerSite = networksPerSite * hostsPerNetwork
	block, inBlock := number/hostsPerSite, number%hostsPerSite
	network := 1 + site*networksPerSite + inBlock/hostsPerNetwork
	return fmt.Sprintf("10.%d.%d.%d", 99+block, network, firstHost+inBlock%hostsPerNetwork)
}

// Named picks hosts of the inventory by name. A name that it does not have gets a
// plain workstation in the last free addresses: labs may call their hosts as they
// like.
func Named(names []string) ([]Host, error) {
	table, err := Table(20 * len(pattern))
	if err != nil {
		return nil, err
	}
	known := map[string]Host{}
	for _, h := range table {
		known[h.Name] = h
	}
	hosts := make([]Host, 0, len(names))
	for i, name := range names {
		h, ok := known[name]
		if !ok {
			h = Host{Name: name, Address: fmt.Sprintf("10.99.250.%d", firstHost+i), Kind: KindWorkstation,
				Department: "it", Owner: "support@entreprise.example", Site: sites[0], Ring: RingGlobal, Tags: []string{}}
		}
		hosts = append(hosts, h)
	}
	return hosts, checkHosts(hosts)
}

// checkHosts refuses what could not be a host of one lab.
func checkHosts(hosts []Host) error {
	if len(hosts) == 0 {
		return fmt.Errorf("check hosts: a lab needs at least one")
	}
	if len(hosts) > hostsPerNetwork {
		return fmt.Errorf("check hosts: %d real hosts on one machine, at most %d", len(hosts), hostsPerNetwork)
	}
	names, addresses := map[string]bool{}, map[string]bool{}
	for _, h := range hosts {
		if err := checkName(h.Name); err != nil {
			return err
		}
		if names[h.Name] || addresses[h.Address] {
			return fmt.Errorf("check hosts: %s (%s) occurs twice", h.Name, h.Address)
		}
		names[h.Name], addresses[h.Address] = true, true
	}
	return nil
}

// checkName wants what is a host name, a folder name and a machine name of nspawn.
func checkName(name string) error {
	letters := "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	bad := strings.Trim(name, letters) != "" || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-")
	if name == "" || len(name) > 63 || bad || name == Lan {
		return fmt.Errorf("check hosts: %q is not a usable host name", name)
	}
	return nil
}
