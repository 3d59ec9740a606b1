package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"patchring/wire"
)

const osName = "Debian GNU/Linux 12 (bookworm)"

// upToDate installs all recorded updates but those the device misses.
func (d *device) upToDate(random *rand.Rand) {
	missing := random.Perm(len(d.stock.updates))
	if n := d.s.Pending; n > 0 && n < len(missing) {
		missing = missing[:n]
	}
	for i, u := range d.stock.updates {
		if slices.Contains(missing, i) {
			continue
		}
		for _, c := range u.Packages {
			d.changed[c.Name] = c.To
		}
	}
}

// version of an installed package; empty: it is not installed.
func (d *device) version(name string) string {
	if v, ok := d.changed[name]; ok {
		return v
	}
	for _, p := range d.stock.packages {
		if p.Name == name {
			return p.Version
		}
	}
	return ""
}

// part is the content of one part as it is now.
func (d *device) part(name wire.PartName) any {
	switch name {
	case wire.PartFacts:
		return d.facts()
	case wire.PartInventory:
		return d.inventory()
	default:
		return d.missing()
	}
}

func (d *device) pack(name wire.PartName) (wire.Part, error) {
	now := time.Now()
	at := now
	if name == wire.PartPatches {
		at = d.scanned
	}
	p, err := wire.Pack(name, d.own(at), d.part(name))
	p.NowUS = d.own(now)
	if err == nil {
		d.hashes[name] = p.Hash
	}
	return p, err
}

// hash is worked out when it is first asked for, and again after a change.
func (d *device) hash(name wire.PartName) (string, error) {
	if h, ok := d.hashes[name]; ok {
		return h, nil
	}
	content, err := json.Marshal(d.part(name))
	if err != nil {
		return "", fmt.Errorf("encode part %s: %w", name, err)
	}
	d.hashes[name] = wire.Hash(content)
	return d.hashes[name], nil
}

// packagesChanged forgets the hashes of what follows from the packages.
func (d *device) packagesChanged() {
	delete(d.hashes, wire.PartInventory)
	delete(d.hashes, wire.PartPatches)
}

func (d *device) inventory() wire.Inventory {
	list := slices.Clone(d.stock.packages)
	for i, p := range list {
		if v, ok := d.changed[p.Name]; ok {
			list[i].Version = v
		}
	}
	return wire.Inventory{Provider: provider, Software: list}
}

// missing is the result of a scan: every update of which a package is not there.
func (d *device) missing() wire.Patches {
	scan := wire.Patches{Provider: provider, Status: wire.ScanOK, ListsUS: d.own(d.booted)}
	for _, u := range d.stock.updates {
		var left []wire.Change
		for _, c := range u.Packages {
			if now, ok := d.changed[c.Name]; !ok || now != c.To {
				if ok {
					c.From = now
				}
				left = append(left, c)
			}
		}
		if len(left) > 0 {
			u.Packages = left
			scan.Patches = append(scan.Patches, u)
		}
	}
	return scan
}

// facts are steady: nothing in them changes while the device is up.
func (d *device) facts() wire.Facts {
	host := d.traits.Host
	kind := "workstation"
	if d.traits.Packages == sizes[0] {
		kind = "server"
	}
	return wire.Facts{
		Hostname: host.Name, Kind: kind,
		OS: wire.OS{
			ID: "debian", Name: osName, Version: "12.15", Codename: "bookworm", Kernel: "6.1.0-50-amd64", Arch: "amd64",
		},
		Hardware: wire.Hardware{
			Vendor: "Patchring", Model: "Simulated device", Serial: d.traits.MachineID[:12], CPU: "Simulated processor",
			CPUs: 2, MemoryBytes: 4 << 30, Virtual: "sim",
		},
		Disks:      []wire.Disk{{Mount: "/", FS: "ext4", SizeBytes: 64 << 30, FreeBytes: 32 << 30}},
		Interfaces: []wire.Interface{{Name: "eth0", MAC: mac(d.traits.Number), Addresses: []string{host.Address}}},
		BootID:     d.bootID, BootedUS: d.own(d.booted), MachineID: d.traits.MachineID, TimeZone: "Europe/Paris",
		Actors:    []wire.Actor{{Name: "apt-daily-upgrade.timer"}},
		Providers: []string{provider},
	}
}

// mac is locally administered: it is nobody's.
func mac(number int) string {
	return fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", byte(number>>24), byte(number>>16), byte(number>>8), byte(number))
}

// Recorded are the parts of a device with that many packages (200, 800 or
// 2500) that misses every recorded update.
func Recorded(packages int) (wire.Inventory, wire.Patches, error) {
	all, err := readStocks()
	if err != nil {
		return wire.Inventory{}, wire.Patches{}, err
	}
	s, ok := all[packages]
	if !ok {
		return wire.Inventory{}, wire.Patches{}, fmt.Errorf("%w: %d packages, recorded are %v", ErrOptions, packages, sizes)
	}
	d := device{stock: s, booted: time.Now()}
	return d.inventory(), d.missing(), nil
}
