package apt

import (
	"path/filepath"
	"slices"
	"testing"

	"patchring/internal/endpoint/provider"
)

func TestErrorTranscripts(t *testing.T) {
	for _, dir := range []string{"bullseye-apt2.2.4", "bookworm-apt2.6.1", "trixie-apt3.0.3"} {
		errs, err := readErrors(filepath.Join("testdata", dir, "install-bad.status-fd"))
		want := []packageError{{"bad", "installed bad package post-installation script subprocess returned error exit status 1"}}
		if err != nil || !slices.Equal(errs, want) {
			t.Errorf("%s: %v %+v, want %+v", dir, err, errs, want)
		}
	}
}

func TestParseErrorFindsThePackage(t *testing.T) {
	for line, want := range map[string]packageError{
		"pmerror:libc6:amd64:12.5000:text: with colons":                                   {"libc6:amd64", "text: with colons"},
		"pmerror:/var/cache/apt/archives/worse_1%3a1.1_all.deb:20.0000:new worse package": {"worse", "new worse package"},
	} {
		if got, ok := parseError(line); !ok || got != want {
			t.Errorf("%q is %+v, want %+v", line, got, want)
		}
	}
	for _, line := range []string{"", "pmerror:", "pmstatus:a:1.0:b", "pmerror:a:b:c"} {
		if got, ok := parseError(line); ok {
			t.Errorf("%q is taken for %+v", line, got)
		}
	}
}

// apt.conf(5): Dl-Limit is in kilobytes a second, and 0 is no limit.
func TestThrottle(t *testing.T) {
	for rate, want := range map[int64]string{1: "1", 2048: "2", 1 << 20: "1024"} {
		args := throttle(provider.Limits{BytesPerS: rate})
		for _, method := range []string{"http", "https"} {
			if !slices.Contains(args, "Acquire::"+method+"::Dl-Limit="+want) {
				t.Errorf("%d bytes a second: %v", rate, args)
			}
		}
	}
	if args := throttle(provider.Limits{}); len(args) > 0 {
		t.Errorf("without a limit: %v", args)
	}
}
