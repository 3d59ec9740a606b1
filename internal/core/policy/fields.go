package policy

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// Device is what conditions may ask of a device. A text that is not known is
// empty, a number that is not known is 0.
type Device struct {
	Name   string
	Kind   string
	Tags   map[string]string
	Groups []string
	Traits
	Software map[string]string // name → version
}

// Traits are taken from a device's facts and kept beside it. They are stored:
// only add optional fields.
type Traits struct {
	OS        string `json:"os,omitempty"` // os-release's ID: debian, ubuntu, windows…
	OSName    string `json:"os_name,omitempty"`
	OSVersion string `json:"os_version,omitempty"`
	Codename  string `json:"codename,omitempty"`
	Arch      string `json:"arch,omitempty"`
	Kernel    string `json:"kernel,omitempty"`
	Vendor    string `json:"vendor,omitempty"`
	Model     string `json:"model,omitempty"`
	Virtual   string `json:"virtual,omitempty"` // the hypervisor or container
	CPUs      int64  `json:"cpus,omitempty"`
	CPULevel  int64  `json:"cpu_level,omitempty"` // N of x86-64-vN; 0: not known
	RAMBytes  int64  `json:"ram_bytes,omitempty"`
	DiskBytes int64  `json:"disk_bytes,omitempty"` // free on the file system that the system is on
	Zone      string `json:"zone,omitempty"`
	// DiskSizeBytes is the size of that file system; 0 until a device tells it anew.
	DiskSizeBytes int64 `json:"disk_size_bytes,omitempty"`
}

// TraitsOf takes them from what a device says of itself.
func TraitsOf(f wire.Facts) Traits {
	clean := func(s string) string { return wire.Clean(s, 128) }
	system := systemDisk(f.Disks)
	return Traits{
		OS: clean(f.OS.ID), OSName: clean(f.OS.Name), OSVersion: clean(f.OS.Version), Codename: clean(f.OS.Codename), Arch: clean(f.OS.Arch), Kernel: clean(f.OS.Kernel),
		Vendor: clean(f.Hardware.Vendor), Model: clean(f.Hardware.Model), Virtual: clean(f.Hardware.Virtual),
		CPUs: max(0, int64(f.Hardware.CPUs)), CPULevel: int64(min(max(0, f.Hardware.CPULevel), 9)), RAMBytes: max(0, f.Hardware.MemoryBytes), DiskBytes: max(0, system.FreeBytes), Zone: clean(f.TimeZone),
		DiskSizeBytes: max(0, system.SizeBytes),
	}
}

// systemDisk is where the system is: at /, or on C: of Windows.
func systemDisk(disks []wire.Disk) wire.Disk {
	for _, d := range disks {
		if d.Mount == "/" || strings.EqualFold(strings.TrimSuffix(d.Mount, `\`), "C:") {
			return d
		}
	}
	return wire.Disk{}
}

// Severity of a patch, as its publisher grades it. Unknown is a value of its
// own: it is never taken for low.
type Severity string

// Severities.
const (
	SeverityUnknown  Severity = "unknown"
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// ParseSeverity reads a grade; whatever is not one is unknown.
func ParseSeverity(s string) Severity {
	switch v := Severity(s); v {
	case SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical:
		return v
	}
	return SeverityUnknown
}

// Patch is what conditions may ask of a patch.
type Patch struct {
	Key       patch.Key
	Class     patch.Class
	Origin    string
	Summary   string
	Severity  Severity
	CVEs      []string
	Exploited bool // known to be exploited
	Bytes     int64
	Released  time.Time // when it was published, or first seen
}

// FieldType is the type of a field, as messages write it.
type FieldType string

// Field types.
const (
	TextField   FieldType = "text"
	NumberField FieldType = "number"
	WholeField  FieldType = "whole number"
	FlagField   FieldType = "true or false"
	ListField   FieldType = "list of texts"
	MapField    FieldType = "texts by name"
)

// Field is one thing that a condition may ask, for completion and documents.
type Field struct {
	Name string        `json:"name"`
	Type FieldType     `json:"type"`
	Doc  manifest.Text `json:"doc"`
}

// field binds a Field to the value of a subject at an instant.
type field[S any] struct {
	Field
	get func(s S, now time.Time) any
}

func text[S any](name, fr, en string, get func(S) string) field[S] {
	return field[S]{Field{name, TextField, manifest.Text{FR: fr, EN: en}}, func(s S, _ time.Time) any { return get(s) }}
}

func number[S any](name, fr, en string, get func(S, time.Time) float64) field[S] {
	return field[S]{Field{name, NumberField, manifest.Text{FR: fr, EN: en}}, func(s S, now time.Time) any { return get(s, now) }}
}

func whole[S any](name, fr, en string, get func(S, time.Time) int64) field[S] {
	return field[S]{Field{name, WholeField, manifest.Text{FR: fr, EN: en}}, func(s S, now time.Time) any { return get(s, now) }}
}

func list[S any](name, fr, en string, get func(S) []string) field[S] {
	return field[S]{Field{name, ListField, manifest.Text{FR: fr, EN: en}}, func(s S, _ time.Time) any { return get(s) }}
}

func table[S any](name, fr, en string, get func(S) map[string]string) field[S] {
	return field[S]{Field{name, MapField, manifest.Text{FR: fr, EN: en}}, func(s S, _ time.Time) any { return words(get(s)) }}
}

const gigabyte = 1 << 30

func deviceFields() []field[*Device] {
	tag := func(name string) func(*Device) string { return func(d *Device) string { return d.Tags[name] } }
	return []field[*Device]{
		text("device.name", "nom du poste", "name of the device", func(d *Device) string { return d.Name }),
		text("device.kind", "workstation, server ou critical", "workstation, server or critical", func(d *Device) string { return d.Kind }),
		text("device.department", "étiquette department", "its tag department", tag("department")),
		text("device.site", "étiquette site", "its tag site", tag("site")),
		text("device.owner", "étiquette owner", "its tag owner", tag("owner")),
		table("device.tags", "étiquettes, par exemple device.tags.cluster", "its tags, for example device.tags.cluster", func(d *Device) map[string]string { return d.Tags }),
		list("device.groups", "groupes explicites", "the explicit groups it is in", func(d *Device) []string { return d.Groups }),
		text("device.os", "identifiant du système : debian, ubuntu, windows…", "id of its system: debian, ubuntu, windows…", func(d *Device) string { return d.OS }),
		text("device.os_name", "nom du système", "name of its system", func(d *Device) string { return d.OSName }),
		text("device.os_version", "version du système", "version of its system", func(d *Device) string { return d.OSVersion }),
		text("device.codename", "nom de code du système : bookworm…", "codename of its system: bookworm…", func(d *Device) string { return d.Codename }),
		text("device.arch", "architecture : amd64…", "architecture: amd64…", func(d *Device) string { return d.Arch }),
		text("device.kernel", "noyau en marche", "its running kernel", func(d *Device) string { return d.Kernel }),
		text("device.vendor", "fabricant", "its maker", func(d *Device) string { return d.Vendor }),
		text("device.model", "modèle", "its model", func(d *Device) string { return d.Model }),
		text("device.virtual", "hyperviseur ou conteneur, vide sinon", "the hypervisor or container, else empty", func(d *Device) string { return d.Virtual }),
		whole("device.cpus", "nombre de processeurs", "number of processors", func(d *Device, _ time.Time) int64 { return d.CPUs }),
		whole("device.cpu_level", "niveau du processeur : 3 pour x86-64-v3, 0 s'il n'est pas connu", "level of its processor: 3 for x86-64-v3, 0 when not known", func(d *Device, _ time.Time) int64 { return d.CPULevel }),
		number("device.ram_gb", "mémoire, en Gio", "memory, GiB", func(d *Device, _ time.Time) float64 { return float64(d.RAMBytes) / gigabyte }),
		number("device.disk_free_gb", "place libre du disque système, en Gio", "free room on the system's disk, GiB", func(d *Device, _ time.Time) float64 { return float64(d.DiskBytes) / gigabyte }),
		text("device.time_zone", "fuseau horaire du poste", "its time zone", func(d *Device) string { return d.Zone }),
		table(softwareField, "logiciels et leur version : device.software[\"openssl\"]", "its software and versions: device.software[\"openssl\"]", func(d *Device) map[string]string { return d.Software }),
	}
}

// Fields that a decision has to know of.
const (
	ageField      = "patch.age_days"
	softwareField = "device.software"
)

func patchFields() []field[*Patch] {
	return []field[*Patch]{
		text("patch.provider", "fournisseur : apt…", "its provider: apt…", func(p *Patch) string { return p.Key.Provider }),
		text("patch.name", "nom : le paquet source pour apt", "its name: the source package for apt", func(p *Patch) string { return p.Key.Name }),
		text("patch.version", "version exacte", "its exact version", func(p *Patch) string { return p.Key.Version }),
		text("patch.suite", "suite de l'archive : bookworm-security…", "suite of the archive: bookworm-security…", func(p *Patch) string { return p.Key.Suite }),
		text("patch.origin", "qui le publie", "who publishes it", func(p *Patch) string { return p.Origin }),
		text("patch.class", "classe : "+classNames(), "its class: "+classNames(), func(p *Patch) string { return string(p.Class) }),
		text("patch.summary", "résumé", "its summary", func(p *Patch) string { return p.Summary }),
		text("patch.severity", "low, medium, high, critical ou unknown", "low, medium, high, critical or unknown", func(p *Patch) string { return string(ParseSeverity(string(p.Severity))) }),
		list("patch.cves", "vulnérabilités corrigées", "the vulnerabilities it mends", func(p *Patch) []string { return p.CVEs }),
		{Field{"patch.exploited", FlagField, manifest.Text{FR: "corrige une vulnérabilité exploitée", EN: "mends a vulnerability that is exploited"}}, func(p *Patch, _ time.Time) any { return p.Exploited }},
		number("patch.size_mb", "taille à télécharger, en Mio", "size of the download, MiB", func(p *Patch, _ time.Time) float64 { return float64(p.Bytes) / (1 << 20) }),
		whole(ageField, "jours depuis sa parution", "days since it was published", (*Patch).age),
	}
}

// age in whole days; 0 when its release is not known or in the future.
func (p *Patch) age(now time.Time) int64 {
	if p.Released.IsZero() {
		return 0
	}
	return max(0, int64(now.Sub(p.Released)/(24*time.Hour)))
}

func classNames() string {
	names := make([]string, 0, len(patch.Classes()))
	for _, c := range patch.Classes() {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}

// DeviceFields lists what devices: may ask.
func DeviceFields() []Field { return fieldsOf(deviceFields()) }

// PatchFields lists what patches: may ask.
func PatchFields() []Field { return fieldsOf(patchFields()) }

func fieldsOf[S any](bound []field[S]) []Field {
	out := make([]Field, 0, len(bound))
	for _, f := range bound {
		out = append(out, f.Field)
	}
	slices.SortFunc(out, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// celType is how the expression language types a field.
func (t FieldType) celType() *cel.Type {
	switch t {
	case NumberField:
		return cel.DoubleType
	case WholeField:
		return cel.IntType
	case FlagField:
		return cel.BoolType
	case ListField:
		return cel.ListType(cel.StringType)
	case MapField:
		return cel.MapType(cel.StringType, cel.StringType)
	default:
		return cel.StringType
	}
}
