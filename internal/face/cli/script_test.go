package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"patchring/internal/core/campaign"
	"patchring/internal/core/cleanup"
	devices "patchring/internal/core/fleet"
	"patchring/internal/core/identity"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/face/cli"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
	"patchring/internal/server"
	"patchring/internal/service/personal"
	"patchring/wire"
)

// TestMain makes this test program answer as patchring itself, for scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"patchring": func() {
		os.Exit(cli.Main(context.Background(), cli.Program{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Version: "test", Clock: time.Now,
			Restore: func(ctx context.Context, r cli.Restore) (register.Restoration, error) {
				return server.RestoreBackup(ctx, server.Config{Data: r.Data, Listen: "127.0.0.1:0"}, r.File, time.Now())
			},
		}, os.Args[1:]))
	}})
}

// TestScripts runs each script against a whole server of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			site, err := serve(env.WorkDir)
			if err != nil {
				return err
			}
			env.Defer(func() {
				if err := site.stop(); err != nil {
					env.T().Log("stop the server:", err)
				}
			})
			env.Values["site"] = site
			env.Setenv("PATCHRING_CONFIG", filepath.Join(env.WorkDir, "login.json"))
			env.Setenv("LC_ALL", "C")
			env.Setenv("TZ", "UTC")
			env.Setenv("SERVER", site.srv.URL())
			env.Setenv("PASSWORD", site.srv.First.Password)
			env.Setenv("FINGERPRINT", site.srv.Keys.Fingerprint().String())
			env.Setenv("EXAMPLES", examples())
			env.Setenv("SOON", time.Now().AddDate(0, 0, 7).Format(time.DateOnly))
			env.Setenv("LATER", time.Now().AddDate(0, 0, 60).Format(time.DateOnly))
			return os.WriteFile(filepath.Join(env.WorkDir, "secret"), []byte(site.srv.First.Password+"\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "login": login, "fleet": fleet, "lacking": lacking, "unkept": unkept, "installed": installed, "halt": halt, "serve": again, "flip": flip, "mode": mode, "keep": keep, "counted": counted, "waits": waits, "said": said, "says": says, "feedbackid": feedbackID},
	})
}

func examples() string {
	path, err := filepath.Abs("../../../examples")
	if err != nil {
		panic(err)
	}
	return path
}

// site is a running server.
type site struct {
	srv  *server.Server
	stop func() error
}

func serve(work string) (*site, error) {
	data := filepath.Join(work, "data")
	log, err := os.Create(filepath.Join(work, "server.log"))
	if err != nil {
		return nil, err
	}
	srv, err := server.New(context.Background(), server.Options{
		Config: server.Config{Data: data, Listen: "127.0.0.1:0", Broker: "127.0.0.1:0", Names: []string{"127.0.0.1"}}, Version: "test",
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	s := &site{srv: srv}
	stopped := false
	s.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return errors.Join(<-ended, srv.Close(), log.Close())
	}
	return s, nil
}

func of(ts *testscript.TestScript) *site {
	s, ok := ts.Value("site").(*site)
	if !ok {
		ts.Fatalf("no site")
	}
	return s
}

// exits CODE COMMAND... wants exactly that exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s exits with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// login NAME ROLE... makes the account when it is not the administrator's, and
// has every later command act for it.
func login(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	ctx := context.Background()
	p, err := s.srv.Access.Login(ctx, s.srv.First.Name, s.srv.First.Password)
	ts.Check(err)
	if args[0] != s.srv.First.Name {
		made, err := s.srv.Access.CreateAccount(ctx, p, args[0], args[1:], "")
		ts.Check(err)
		p, err = s.srv.Access.Login(ctx, args[0], made.Password)
		ts.Check(err)
	}
	token, err := s.srv.Access.CreateToken(ctx, p, "script", time.Hour)
	ts.Check(err)
	ca := filepath.Join(ts.Getenv("WORK"), "ca.pem")
	ts.Check(os.WriteFile(ca, []byte(s.srv.Keys.CAPEM()), 0o600))
	ts.Setenv("PATCHRING_SERVER", s.srv.URL())
	ts.Setenv("PATCHRING_TOKEN", token.Text)
	ts.Setenv("PATCHRING_CA", ca)
}

// fleet NAME... adds devices that miss openssl 3.0.22-1, freshly scanned.
func fleet(ts *testscript.TestScript, _ bool, names []string) {
	s := of(ts)
	now := time.Now()
	key := patch.Key{Provider: "apt", Name: "openssl", Version: "3.0.22-1", Suite: "bookworm-security"}
	ctx := context.Background()
	ts.Check(s.srv.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.PutPatch(ctx, gen.PutPatchParams{Tenant: "main", ID: string(key.ID()), Provider: key.Provider, Name: key.Name, Version: key.Version,
			Suite: key.Suite, Origin: "Debian-Security", Class: string(patch.Security), FirstSeenUs: now.UnixMicro(), DownloadBytes: 2_100_000})
		if err != nil {
			return err
		}
		for _, name := range names {
			id := "id-" + name
			err := errors.Join(
				tx.AddDevice(ctx, gen.AddDeviceParams{Tenant: "main", ID: id, Name: name, Kind: "workstation", Tags: `{"department":"finance"}`, OsName: "Debian 12", EnrolledUs: now.UnixMicro(), SeenUs: now.UnixMicro()}),
				tx.AddDeviceTag(ctx, gen.AddDeviceTagParams{Tenant: "main", Device: id, Name: "department", Value: "finance"}),
				tx.SetDeviceScan(ctx, gen.SetDeviceScanParams{Tenant: "main", ID: id, ScanUs: now.UnixMicro(), ScanStatus: string(wire.ScanOK), ListsUs: now.UnixMicro(), Missing: 1, MissingSecurity: 1, PartHashes: "{}"}),
				tx.PutDeviceTraits(ctx, gen.PutDeviceTraitsParams{Tenant: "main", Device: id, Traits: `{"os":"debian","os_version":"12.9","model":"Latitude","disk_bytes":20000000000,"disk_size_bytes":100000000000,"ram_bytes":8000000000}`}),
				tx.PutMissing(ctx, gen.PutMissingParams{Tenant: "main", Device: id, Patch: string(key.ID()), State: wire.PatchOffered, Packages: `[{"name":"openssl","from":"3.0.21-1","to":"3.0.22-1"}]`, SinceUs: now.UnixMicro()}),
				tx.AddPatchDevices(ctx, gen.AddPatchDevicesParams{Tenant: "main", ID: string(key.ID()), Delta: 1}))
			if err != nil {
				return err
			}
		}
		return nil
	}))
	ts.Setenv("OPENSSL", string(key.ID()))
}

// lacking VERSION NAME... adds devices, as fleet does, that have this version of
// openssl.
func lacking(ts *testscript.TestScript, neg bool, args []string) {
	fleet(ts, neg, args[1:])
	s := of(ts)
	ctx := context.Background()
	ts.Check(s.srv.DB.Write(ctx, func(tx *store.Tx) error {
		var errs []error
		for _, name := range args[1:] {
			m := gen.Missing{Tenant: "main", Device: "id-" + name, Patch: ts.Getenv("OPENSSL"), Installed: args[0]}
			errs = append(errs, tx.JoinInstalled(ctx, m),
				tx.SetMissingInstalled(ctx, gen.SetMissingInstalledParams{Tenant: m.Tenant, Device: m.Device, Patch: m.Patch, Installed: m.Installed}))
		}
		return errors.Join(errs...)
	}))
}

// halt ends the server. (stop would end the script, as passed.)
func halt(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(of(ts).stop()) }

// serve serves the same data again, with what its first run said.
func again(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	next, err := serve(ts.Getenv("WORK"))
	ts.Check(err)
	next.srv.First = s.srv.First
	*s = *next
}

// unkept CAMPAIGN DEVICE: the device has installed openssl in the campaign, and
// could not keep the version before.
func unkept(ts *testscript.TestScript, _ bool, args []string) {
	hasOpenssl(ts, args, wire.Change{Name: "openssl", Rollback: wire.RollbackImpossible, Why: "no_old_package"}, campaign.Rehearsal{})
}

// installed CAMPAIGN DEVICE: the device has installed openssl in the campaign,
// whose rollback was rehearsed in four minutes.
func installed(ts *testscript.TestScript, _ bool, args []string) {
	hasOpenssl(ts, args, wire.Change{Name: "openssl", From: "3.0.1", To: "3.0.22-1", Rollback: wire.RollbackReady},
		campaign.Rehearsal{Stage: campaign.RehearsalDone, Back: 4 * time.Minute})
}

func hasOpenssl(ts *testscript.TestScript, args []string, change wire.Change, rehearsal campaign.Rehearsal) {
	s := of(ts)
	ctx := context.Background()
	key := patch.Key{Provider: "apt", Name: "openssl", Version: "3.0.22-1", Suite: "bookworm-security"}
	ts.Check(s.srv.DB.Write(ctx, func(tx *store.Tx) error {
		c, err := tx.CampaignByName(ctx, "main", args[0])
		if err != nil {
			return err
		}
		of := gen.CampaignDevice{Tenant: "main", Campaign: c.ID, Device: "id-" + args[1]}
		_, err = tx.AddCampaignDevice(ctx, gen.AddCampaignDeviceParams{Tenant: of.Tenant, Campaign: of.Campaign, Device: of.Device, DueUs: math.MaxInt64})
		before := campaign.Progress{Item: key.ID(), State: patch.Scheduled}
		after := campaign.Progress{Item: key.ID(), State: patch.Verified, Packages: []wire.Change{change}, Rehearsal: rehearsal}
		return errors.Join(err,
			tx.AddItem(ctx, gen.AddItemParams{Tenant: "main", Campaign: c.ID, ID: string(key.ID()), Provider: key.Provider, Name: key.Name, Version: key.Version, Suite: key.Suite}),
			tx.MoveItem(ctx, of, before, after))
	}))
}

// says CAMPAIGN DEVICE WORDS: the user of a device says on its page that a
// campaign broke something.
func says(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	ctx := context.Background()
	c, err := s.srv.DB.Read().CampaignByName(ctx, "main", args[0])
	ts.Check(err)
	page := identity.Page{Device: identity.Device{Tenant: "main", ID: devices.DeviceID("id-" + args[1])}}
	ts.Check(s.srv.Personal.Say(ctx, page, personal.Feedback{Campaign: c.ID, Says: personal.Broken, Words: args[2]}))
}

// feedbackID FILE sets ID to that of the first feedback of a list.
func feedbackID(ts *testscript.TestScript, _ bool, args []string) {
	var list []view.FeedbackRow
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &list))
	if len(list) == 0 {
		ts.Fatalf("nobody said anything")
	}
	ts.Setenv("ID", list[0].ID)
}

// flip FILE OLD NEW changes a few bytes of a file.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	text, err := os.ReadFile(path)
	ts.Check(err)
	changed := strings.Replace(string(text), args[1], args[2], 1)
	if changed == string(text) {
		ts.Fatalf("%s holds no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path, []byte(changed), 0o600))
}

// mode FILE OCTAL wants exactly these permissions.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := "0" + strconv.FormatInt(int64(info.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

// waits PATTERN COMMAND... asks again until the answer has the pattern: the
// server works by itself meanwhile.
func waits(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(2 * time.Minute); ; {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s never says %s", strings.Join(args[1:], " "), args[0])
		}
	}
}

// said FIELD... FILE writes a text of the JSON that was just written into a file.
func said(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	fields, file := args[:len(args)-1], args[len(args)-1]
	for _, name := range fields {
		object, ok := v.(map[string]any)
		if !ok {
			ts.Fatalf("nothing has a field %s", name)
		}
		v = object[name]
	}
	text, ok := v.(string)
	if !ok || text == "" {
		ts.Fatalf("%s is no text: %v", strings.Join(fields, "."), v)
	}
	ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
}

// keep NAME keeps what was just written, for later commands.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// counted ITEM: the dry runs of every device that has the item found three files.
func counted(ts *testscript.TestScript, _ bool, args []string) {
	s, ctx := of(ts), context.Background()
	deadline := time.Now().Add(20 * time.Second)
	for done := false; !done; {
		if time.Now().After(deadline) {
			ts.Fatalf("no device has %s", args[0])
		}
		s.srv.Cleaner.Wake()
		ts.Check(s.srv.DB.Write(ctx, func(tx *store.Tx) error {
			page, err := s.srv.View.CleanUpDevices(ctx, "main", view.CleanUpQuery{Item: args[0]})
			for _, r := range page.Rows {
				if done = r.State == cleanup.AwaitingApproval; done {
					continue
				}
				at := gen.CountedCleanUpParams{
					Tenant: "main", Device: string(r.Device.ID), Item: r.Item, Fingerprint: r.Fingerprint, CountedUs: time.Now().UnixMicro(),
					CountedFiles: 3, CountedBytes: 5_000_000, Places: `[{"path":"/tmp","files":3,"bytes":5000000}]`,
				}
				err = errors.Join(err, tx.CountedCleanUp(ctx, at))
				if _, touched := tx.TouchCleanUp(ctx, "main", at.Device); touched != nil {
					err = errors.Join(err, touched)
				}
			}
			return err
		}))
	}
}
