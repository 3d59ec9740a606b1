// Command patchring is the server (patchring serve) and the operator's command
// line (every other verb, over the HTTP API).
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"patchring/internal/core/register"
	"patchring/internal/face/cli"
	"patchring/internal/server"
)

// version is set by the build: -ldflags "-X main.version=1.0.0".
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, program(), os.Args[1:])
	stop()
	os.Exit(code)
}

func program() cli.Program {
	v := versionText()
	return cli.Program{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Version: v, Clock: time.Now,
		Serve: newServe(v), Restore: restore,
	}
}

func restore(ctx context.Context, r cli.Restore) (register.Restoration, error) {
	o := serveOptions{config: r.Config, set: server.Config{Data: r.Data}}
	config, err := o.configuration()
	if err != nil {
		return register.Restoration{}, err
	}
	if r.File == "" {
		return server.AdoptRestored(ctx, config, time.Now())
	}
	return server.RestoreBackup(ctx, config, r.File, time.Now())
}

// versionText is what the build set, or what the module and its repository say.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}
