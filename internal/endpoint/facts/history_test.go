package facts_test

import (
	"bytes"
	"compress/gzip"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/endpoint/facts"
	"patchring/wire"
)

const history = `
Start-Date: 2026-11-20  06:25:01
Commandline: /usr/bin/unattended-upgrade
Upgrade: openssl:amd64 (3.0.19-1, 3.0.20-1~deb12u1), libssl3:amd64 (3.0.19-1, 3.0.20-1~deb12u1)
End-Date: 2026-11-20  06:25:40

Start-Date: 2026-11-21  10:00:00
Commandline: apt-get -y -q -o Patchring::Transaction=true install good=1.1
Upgrade: good:amd64 (1.0, 1.1)
End-Date: 2026-11-21  10:00:05

Start-Date: 2026-11-21  11:00:00
Commandline: apt install app
Requested-By: someone (1000)
Install: newdep:amd64 (1.0, automatic), app:all (2.0)
Remove: old:amd64 (0.9)
End-Date: 2026-11-21  11:00:09

Start-Date: 2026-11-21  12:00:00
Commandline: apt-get -o Patchring::Transaction=true install killed=2
Upgrade: killed:amd64 (1, 2)
`

const dpkgLog = `2026-11-21 10:00:02 upgrade good:amd64 1.0 1.1
2026-11-21 10:00:03 status installed good:amd64 1.1
2026-11-21 11:30:00 install byhand:all <none> 1.0
2026-11-21 11:30:01 configure byhand:all 1.0 <none>
2026-11-21 12:00:04 upgrade killed:amd64 1 2
`

func TestChangesOfOthers(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04:05", text, paris)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("Start-Date: 2026-11-19  01:00:00\nCommandline: aptitude\nPurge: gone:amd64 (1)\nEnd-Date: 2026-11-19  01:00:01\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	root := fstest.MapFS{
		"var/log/apt/history.log":      {Data: []byte(history), ModTime: at("2026-11-21 12:00:00")},
		"var/log/apt/history.log.1.gz": {Data: packed.Bytes(), ModTime: at("2026-11-19 01:00:01")},
		"var/log/dpkg.log":             {Data: []byte(dpkgLog), ModTime: at("2026-11-21 12:00:04")},
	}
	aptitude := facts.Activity{Actor: "aptitude", Command: "aptitude", At: at("2026-11-19 01:00:00"), Changes: []wire.Change{{Name: "gone", Arch: "amd64", From: "1"}}}
	unattended := facts.Activity{Actor: facts.ActorUnattended, Command: "/usr/bin/unattended-upgrade", At: at("2026-11-20 06:25:01"), Changes: []wire.Change{
		{Name: "openssl", Arch: "amd64", From: "3.0.19-1", To: "3.0.20-1~deb12u1"}, {Name: "libssl3", Arch: "amd64", From: "3.0.19-1", To: "3.0.20-1~deb12u1"}}}
	apt := facts.Activity{Actor: "apt", Command: "apt install app", By: "someone (1000)", At: at("2026-11-21 11:00:00"), Changes: []wire.Change{
		{Name: "newdep", Arch: "amd64", To: "1.0"}, {Name: "app", Arch: "all", To: "2.0"}, {Name: "old", Arch: "amd64", From: "0.9"}}}
	byHand := facts.Activity{Actor: "dpkg", At: at("2026-11-21 11:30:00"), Changes: []wire.Change{{Name: "byhand", Arch: "all", To: "1.0"}}}
	for since, want := range map[string][]facts.Activity{
		"2026-11-18 00:00:00": {aptitude, unattended, apt, byHand},
		"2026-11-20 00:00:00": {unattended, apt, byHand},
		"2026-11-21 11:00:00": {byHand},
		"2026-11-21 12:30:00": nil,
	} {
		got, err := facts.ChangesSince(root, at(since), paris)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("since %s: %s", since, diff)
		}
	}
	if got, err := facts.ChangesSince(fstest.MapFS{}, time.Time{}, paris); err != nil || got != nil {
		t.Errorf("a device without logs says %v, %v", got, err)
	}
}
