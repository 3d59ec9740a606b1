package facts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"patchring/internal/endpoint/provider/tool"
	"patchring/wire"
)

// This is the device the agent runs on.
func This() Host {
	h := Host{FS: os.DirFS("/"), Hostname: os.Hostname, Statfs: statfs, Interfaces: interfaces}
	if tool.Found("needrestart") {
		h.Needrestart = needrestart
	}
	return h
}

func statfs(mount string) (size, free int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(mount, &s); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", mount, err)
	}
	return int64(s.Blocks) * s.Bsize, int64(s.Bavail) * s.Bsize, nil
}

// interfaces lists what is up and has an address others can reach; link-local
// ones come and go with every container.
func interfaces() ([]wire.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var found []wire.Interface
	var problems []error
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // it went away between the two questions
		}
		one := wire.Interface{Name: i.Name, MAC: i.HardwareAddr.String()}
		for _, a := range addresses {
			if network, ok := a.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
				one.Addresses = append(one.Addresses, network.String())
			}
		}
		if len(one.Addresses) > 0 {
			slices.Sort(one.Addresses)
			if one.MAC != "" {
				armed, err := wakes(i.Name)
				problems = append(problems, err)
				one.Wakes = armed
			}
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(a, b wire.Interface) int { return cmp.Compare(a.Name, b.Name) })
	return found, errors.Join(problems...)
}

func needrestart(ctx context.Context) ([]byte, error) {
	var said bytes.Buffer
	_, err := tool.Lines(ctx, tool.Command{Name: "needrestart", Args: []string{"-b", "-k", "-r", "l"}}, func(line []byte) error {
		said.Write(line)
		said.WriteByte('\n')
		return nil
	})
	return said.Bytes(), err
}
