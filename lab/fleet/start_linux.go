package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"patchring/lab/aptrepo"
	"patchring/lab/cgroup"
	"patchring/lab/holder"
	"patchring/lab/lock"
)

// endPatience is how long a killed lab may take to be gone.
const endPatience = 30 * time.Second

// started is a lab whose first process is our child.
type started struct {
	cmd      *exec.Cmd
	leash    *holder.Leash
	detached bool
	ended    chan struct{} // closed when the process was collected
}

// lock keeps starts and ends apart, of all runs: a lock for each would leave its file
// behind for ever.
func (f *Fleet) lock(ctx context.Context) (*lock.Lock, error) {
	return lock.Acquire(ctx, filepath.Join(filepath.Dir(f.dir), ".lock"), nil)
}

// start makes the run's folder and starts its processes.
func (f *Fleet) start(ctx context.Context, c Config) (err error) {
	held, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	if err := f.clear(ctx); err != nil {
		return err
	}
	debs, err := f.makeRepo(ctx, c)
	if err != nil {
		return err
	}
	if c.Binary, err = copyBinary(c.Binary, f.dir); err != nil {
		return err
	}
	if err := f.makeSpec(c); err != nil {
		return err
	}
	owner, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	s := state{Owner: owner, Spec: f.spec, Hosts: f.table, Image: f.image, ImageDir: f.image.Dir, Debs: debs}
	if err := s.write(f.dir); err != nil {
		return err
	}
	if err := f.launch(ctx, s); err != nil {
		return errors.Join(err, f.end(context.WithoutCancel(ctx)))
	}
	return nil
}

// clear removes what a dead run left, and ends one that nobody can end any more.
func (f *Fleet) clear(ctx context.Context) error {
	s, err := readState(f.dir)
	if err != nil && !errors.Is(err, ErrNotUp) {
		return err
	}
	if s.alive() && !s.orphaned() {
		return fmt.Errorf("%w: process %d, of process %d", ErrUp, s.Lab.PID, s.Owner.PID)
	}
	return f.end(ctx)
}

func (f *Fleet) makeRepo(ctx context.Context, c Config) (debs string, err error) {
	if err := os.MkdirAll(repoDir(f.dir), 0o700); err != nil {
		return "", fmt.Errorf("make run folder: %w", err)
	}
	key, err := openKey(ctx, c.Dir)
	if err != nil {
		return "", err
	}
	if debs, err = aptrepo.Build(ctx, filepath.Join(c.Dir, "packages")); err != nil {
		return "", fmt.Errorf("build packages: %w", err)
	}
	f.repo = aptrepo.Open(repoDir(f.dir), debs, key)
	return debs, f.repo.Publish(ctx)
}

// copyBinary gives the run a program of its own: every boot starts it, also after the
// original was built anew or, as go run does, removed.
func copyBinary(from, run string) (string, error) {
	to := filepath.Join(run, "patchring-lab")
	text, err := os.ReadFile(from)
	if err != nil {
		return "", fmt.Errorf("copy own program: %w", err)
	}
	if err := os.WriteFile(to, text, 0o700); err != nil {
		return "", fmt.Errorf("copy own program: %w", err)
	}
	return to, nil
}

// launch starts the lab's first process and waits until the hosts are booting.
func (f *Fleet) launch(ctx context.Context, s state) error {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make leash: %w", err)
	}
	leash, err := holder.NewLeash(os.NewFile(uintptr(pair[0]), "leash"))
	if err != nil {
		return err
	}
	inner := os.NewFile(uintptr(pair[1]), "leash")
	log, err := os.Create(f.Log())
	if err != nil {
		return errors.Join(fmt.Errorf("make log: %w", err), leash.Close(), inner.Close())
	}
	cmd := holder.Command(f.spec, inner, log)
	err = cmd.Start()
	if err := errors.Join(err, inner.Close(), log.Close()); err != nil {
		return errors.Join(fmt.Errorf("start lab: %w", err), leash.Close())
	}
	f.owned = &started{cmd: cmd, leash: leash, ended: make(chan struct{})}
	go func() {
		defer close(f.owned.ended)
		_ = cmd.Wait() // its status says nothing: the lab is meant to be killed
	}()
	if s.Lab, err = identify(cmd.Process.Pid); err != nil {
		return fmt.Errorf("start lab: %w", err)
	}
	if err := errors.Join(s.write(f.dir), leash.Begin()); err != nil {
		return err
	}
	if err := leash.AwaitReady(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(f.Log()))
	}
	return nil
}

// detach lets a lab that is wholly up live on without this process. Whoever is killed
// before leaves no half lab.
func (f *Fleet) detach() error {
	s, err := readState(f.dir)
	if err != nil {
		return err
	}
	s.Detached = true
	if err := errors.Join(s.write(f.dir), f.owned.leash.Free()); err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	f.owned.detached = true
	return nil
}

// Down ends the run of that name, whoever opened it, and removes every trace of it.
func Down(ctx context.Context, dir, name string) error {
	if err := Supported(); err != nil {
		return err
	}
	dir, err := cleanDir(dir)
	if err != nil {
		return err
	}
	f := &Fleet{dir: runDir(dir, name)}
	if _, err := readState(f.dir); err != nil {
		return fmt.Errorf("end fleet %s: %w", name, err)
	}
	if err := f.down(ctx); err != nil {
		return fmt.Errorf("end fleet %s: %w", name, err)
	}
	return nil
}

func (f *Fleet) down(ctx context.Context) (err error) {
	held, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	return f.end(ctx)
}

// end kills the lab's first process, with which the kernel ends all others, all
// mounts and networks; then removes control groups and the run's folder. It does so
// for a run in any condition, also one whose processes are long dead. The folder,
// and with it the state, goes last: dying here leaves a run that is ended again.
func (f *Fleet) end(ctx context.Context) error {
	s, err := readState(f.dir)
	if errors.Is(err, ErrNotUp) {
		return removeRun(f.dir) // a start that died before it wrote its state
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	if s.alive() {
		if err := syscall.Kill(s.Lab.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill lab: %w", err)
		}
	}
	if f.owned != nil {
		if err := f.owned.leash.Close(); err != nil {
			return err
		}
		<-f.owned.ended
	}
	if err := awaitEnd(ctx, s.Lab); err != nil {
		return err
	}
	// Waits for the last process as well, also of a lab whose first process was
	// not yet written down.
	if err := cgroup.Remove(ctx, s.Spec.Cgroup); err != nil {
		return err
	}
	return removeRun(f.dir)
}

func removeRun(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove run: %w", err)
	}
	return nil
}

// awaitEnd returns when the process is gone. The kernel lets it go only after every
// process of its namespace.
func awaitEnd(ctx context.Context, p process) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for p.alive() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("end lab: process %d is still there: %w", p.PID, context.Cause(ctx))
		case <-ticker.C:
		}
	}
	return nil
}
