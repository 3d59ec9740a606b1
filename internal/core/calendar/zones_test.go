package calendar_test

import (
	"testing"
	"time"
	_ "time/tzdata"
)

// zoneNames are the awkward ones: half and quarter hours, a DST of 30 minutes,
// a winter time that Go calls DST, Ramadan, changes of clocks at midnight and
// at 23:00, the ends of the world.
func zoneNames() []string {
	return []string{
		"UTC", "Europe/Paris", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Atlantic/Azores",
		"America/Los_Angeles", "America/New_York", "America/St_Johns", "America/Sao_Paulo", "America/Santiago",
		"America/Asuncion", "America/Havana", "America/Nuuk", "America/Scoresbysund", "America/Phoenix",
		"Africa/Casablanca", "Africa/El_Aaiun", "Africa/Cairo", "Africa/Johannesburg",
		"Asia/Kolkata", "Asia/Kathmandu", "Asia/Tehran", "Asia/Kabul", "Asia/Yangon", "Asia/Beirut", "Asia/Gaza", "Asia/Tokyo",
		"Australia/Adelaide", "Australia/Darwin", "Australia/Eucla", "Australia/Lord_Howe", "Australia/Sydney",
		"Antarctica/Troll", "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati",
		"Pacific/Marquesas", "Pacific/Pago_Pago", "Indian/Reunion", "America/Martinique", "Pacific/Noumea",
	}
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func zones(t testing.TB) []*time.Location {
	t.Helper()
	var out []*time.Location
	for _, name := range zoneNames() {
		out = append(out, zone(t, name))
	}
	return out
}

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
