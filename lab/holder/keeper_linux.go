package holder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"patchring/lab/tool"
)

// keeper keeps the hosts of one run.
type keeper struct {
	spec  Spec
	file  string // of the spec
	log   *slog.Logger
	hosts map[string]*host
	order []*host
}

// runKeeper brings the lab up, says so on the leash, and stays until the leash is
// dropped. It never returns while hosts should run: its end is the end of the lab.
func runKeeper(specFile string) error {
	spec, err := readSpec(specFile)
	if err != nil {
		return err
	}
	leash, err := NewLeash(os.NewFile(leashFD, "leash"))
	if err != nil {
		return err
	}
	if err := leash.begun(); err != nil {
		return err
	}
	k := &keeper{spec: spec, file: specFile, hosts: map[string]*host{}}
	k.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() { cancel(leash.held(ctx)) }()
	if err := k.start(ctx, cancel); err != nil {
		return errors.Join(err, leash.report(err))
	}
	if err := leash.report(nil); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (k *keeper) start(ctx context.Context, fail context.CancelCauseFunc) error {
	if err := k.startNetwork(ctx); err != nil {
		return fmt.Errorf("start network: %w", err)
	}
	if err := k.serveMirror(fail); err != nil {
		return fmt.Errorf("serve mirror: %w", err)
	}
	layers, err := k.makeLayers(ctx)
	if err != nil {
		return err
	}
	for i, h := range k.spec.Hosts {
		if err := k.connect(ctx, i, h); err != nil {
			return fmt.Errorf("connect %s: %w", h.Name, err)
		}
		one := newHost(k, i, h, layers[layerKey(h)])
		k.hosts[h.Name] = one
		k.order = append(k.order, one)
		go func() { fail(fmt.Errorf("keep %s: %w", h.Name, one.run(ctx))) }()
	}
	if err := k.serveControl(ctx, fail); err != nil {
		return fmt.Errorf("serve control socket: %w", err)
	}
	return nil
}

// netns is the name of a host's network namespace and, with a v, of its port on the
// bridge. Interface names are limited to 15 bytes, host names are not.
func netns(index int) string { return "h" + strconv.Itoa(index+1) }

func (k *keeper) startNetwork(ctx context.Context) error {
	return ip(ctx,
		"link set lo up",
		"link add lab0 type bridge",
		fmt.Sprintf("addr add %s/%d dev lab0", ServerAddress, PrefixBits),
		"link set lab0 up",
	)
}

// connect gives the host its network. It outlives the host's boots, so that a host
// that is cut off stays cut off when it restarts.
func (k *keeper) connect(ctx context.Context, index int, h Host) error {
	ns := netns(index)
	err := ip(ctx,
		"netns add "+ns,
		fmt.Sprintf("link add v%s type veth peer name eth0 netns %s", ns, ns),
		fmt.Sprintf("link set v%s master lab0 up", ns),
	)
	if err != nil {
		return err
	}
	return ipIn(ctx, ns,
		"link set lo up",
		fmt.Sprintf("addr add %s/%d dev eth0", h.Address, PrefixBits),
		"link set eth0 up",
	)
}

// ip runs commands of iproute2, all in one process, in this network namespace.
func ip(ctx context.Context, commands ...string) error {
	return ipBatch(ctx, []string{"ip", "-batch", "-"}, commands)
}

// ipIn does the same in a named network namespace.
func ipIn(ctx context.Context, ns string, commands ...string) error {
	return ipBatch(ctx, []string{"ip", "-n", ns, "-batch", "-"}, commands)
}

func ipBatch(ctx context.Context, args, commands []string) error {
	stdin := strings.NewReader(strings.Join(commands, "\n") + "\n")
	_, err := tool.Cmd{Args: args, Stdin: stdin}.Output(ctx)
	return err
}

func hostDir(run, host string) string { return filepath.Join(run, "hosts", host) }
func rootDir(run, host string) string { return filepath.Join(hostDir(run, host), "root") }
