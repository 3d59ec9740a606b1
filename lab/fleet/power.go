package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"patchring/lab/holder"
)

// HostStatus is what the lab knows of a host without asking it.
type HostStatus = holder.HostStatus

// Power is what a host is doing.
type Power = holder.Power

// The states of a host.
const (
	PowerStarting = holder.PowerStarting
	PowerOn       = holder.PowerOn
	PowerOff      = holder.PowerOff
	PowerFailed   = holder.PowerFailed
)

// bootPatience is how long a host may take to boot on a loaded machine.
const bootPatience = 3 * time.Minute

// lookEvery is how often a booting host is asked how far it is.
const lookEvery = 100 * time.Millisecond

// Status returns all hosts in order.
func (f *Fleet) Status(ctx context.Context) ([]HostStatus, error) {
	return f.ask(ctx, holder.Request{Op: holder.OpStatus})
}

// HostStatus returns one host.
func (f *Fleet) HostStatus(ctx context.Context, host string) (HostStatus, error) {
	return f.askHost(ctx, holder.OpStatus, host)
}

// Cut takes a host off the network. It stays off over reboots.
func (f *Fleet) Cut(ctx context.Context, host string) error {
	_, err := f.askHost(ctx, holder.OpCut, host)
	return err
}

// Heal puts it back.
func (f *Fleet) Heal(ctx context.Context, host string) error {
	_, err := f.askHost(ctx, holder.OpHeal, host)
	return err
}

// PowerCut stops a host as if its cable was pulled, in the middle of anything. It
// stays off.
func (f *Fleet) PowerCut(ctx context.Context, host string) error {
	_, err := f.askHost(ctx, holder.OpPowerCut, host)
	return err
}

// PowerOn boots a host that is off, with the disk it had, and returns when it is up.
func (f *Fleet) PowerOn(ctx context.Context, host string) error {
	return f.bootBy(ctx, holder.OpPowerOn, host)
}

// Reset gives a host the disk that it had at first, boots it, and returns when it
// is up.
func (f *Fleet) Reset(ctx context.Context, host string) error {
	return f.bootBy(ctx, holder.OpReset, host)
}

func (f *Fleet) bootBy(ctx context.Context, op holder.Op, host string) error {
	s, err := f.askHost(ctx, op, host)
	if err != nil {
		return err
	}
	return f.AwaitBoot(ctx, host, s.Boots)
}

// Reboot has a host reboot itself and returns when it is up again.
func (f *Fleet) Reboot(ctx context.Context, host string) error {
	before, err := f.HostStatus(ctx, host)
	if err != nil {
		return err
	}
	command := []string{"systemctl", "reboot"}
	if f.spec.Light {
		command = []string{"reboot", "-f"}
	}
	// Its status says nothing: the host may be gone before the command ends.
	if _, err := f.Exec(ctx, host, nil, command...); err != nil {
		return fmt.Errorf("reboot %s: %w", host, err)
	}
	return f.AwaitBoot(ctx, host, before.Boots+1)
}

// AwaitBoot returns when the host is up in its nth boot or a later one. HostStatus
// counts them.
func (f *Fleet) AwaitBoot(ctx context.Context, host string, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootPatience, fmt.Errorf("it takes longer than %s", bootPatience))
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		s, err := f.HostStatus(ctx, host)
		if err != nil {
			return err
		}
		if s.Power == PowerFailed {
			return fmt.Errorf("boot %s: %s\n%s", host, s.Ended, tail(f.Console(host)))
		}
		if s.Boots >= n && s.Power == PowerOn {
			up, err := f.booted(ctx, host)
			if up {
				return nil
			}
			if err != nil && !errors.Is(err, ErrDown) {
				return fmt.Errorf("boot %s: %w", host, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("boot %s: %w\n%s", host, context.Cause(ctx), tail(f.Console(host)))
		case <-ticker.C:
		}
	}
}

// booted asks the host itself. A systemd that is "degraded" is up, with a unit that
// failed: hosts may well have one.
func (f *Fleet) booted(ctx context.Context, host string) (bool, error) {
	if f.spec.Light {
		res, err := f.Exec(ctx, host, nil, "true")
		return err == nil && res.Code == 0, err
	}
	res, err := f.Exec(ctx, host, nil, "systemctl", "is-system-running", "--wait")
	if err != nil {
		return false, err
	}
	answer := strings.TrimSpace(string(res.Stdout))
	return answer == "running" || answer == "degraded", nil
}

// awaitAll waits for the first boot of every host.
func (f *Fleet) awaitAll(ctx context.Context) error {
	var all sync.WaitGroup
	problems := make([]error, len(f.table))
	for i, h := range f.table {
		all.Go(func() { problems[i] = f.AwaitBoot(ctx, h.Name, 1) })
	}
	all.Wait()
	return errors.Join(problems...)
}

func (f *Fleet) askHost(ctx context.Context, op holder.Op, host string) (HostStatus, error) {
	hosts, err := f.ask(ctx, holder.Request{Op: op, Host: host})
	if err != nil {
		return HostStatus{}, err
	}
	if len(hosts) != 1 {
		return HostStatus{}, fmt.Errorf("%s %s: the lab answered for %d hosts", op, host, len(hosts))
	}
	return hosts[0], nil
}

// ask sends one request to the lab.
func (f *Fleet) ask(ctx context.Context, req holder.Request) ([]HostStatus, error) {
	conn, reply, err := f.converse(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Op, req.Host, err)
	}
	return reply.Hosts, nil
}

// converse sends a request and leaves the connection open.
func (f *Fleet) converse(ctx context.Context, req holder.Request) (net.Conn, holder.Reply, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", holder.SocketFile(f.dir))
	if err != nil {
		return nil, holder.Reply{}, fmt.Errorf("reach the lab: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	reply, err := holder.Call(conn, req)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err == nil && reply.Error != "" {
		err = errors.New(reply.Error)
	}
	if err != nil {
		conn.Close() // the first error is the one to tell
		return nil, reply, fmt.Errorf("%s %s: %w", req.Op, req.Host, err)
	}
	return conn, reply, nil
}

// tail returns the end of a log for an error message.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return string(text[max(0, len(text)-2000):])
}
