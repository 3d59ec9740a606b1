package aptrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"patchring/lab/lock"
	"patchring/lab/tool"
)

const keyAddress = "lab@patchring.example"

// gpg-agent listens on a socket in the key's folder, and the kernel takes 107
// bytes of socket path.
const keyPathLimit = 107 - len("/gnupg/S.gpg-agent.extra")

// Key signs the lab's repositories. It lives in one folder and serves every run,
// because the cached root carries its public half.
type Key struct {
	dir    string
	Public []byte // binary keyring, as apt's signed-by wants it
}

// OpenKey opens the key of that folder and makes it when there is none. The folder
// appears by one rename: dying here leaves no half key.
func OpenKey(ctx context.Context, dir string) (key Key, err error) {
	if len(dir) > keyPathLimit {
		return Key{}, fmt.Errorf("open key: path %s is longer than the %d bytes gpg can use", dir, keyPathLimit)
	}
	key = Key{dir: dir}
	held, err := lock.Acquire(ctx, dir+".lock", nil)
	if err != nil {
		return Key{}, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	key.Public, err = os.ReadFile(key.publicFile())
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(ctx, dir); err != nil {
			return Key{}, fmt.Errorf("make key: %w", err)
		}
		key.Public, err = os.ReadFile(key.publicFile())
	}
	if err != nil {
		return Key{}, fmt.Errorf("read key: %w", err)
	}
	return key, nil
}

func (k Key) publicFile() string { return filepath.Join(k.dir, "public.gpg") }

func makeKey(ctx context.Context, dir string) error {
	work := dir + ".new"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(work, "gnupg"), 0o700); err != nil {
		return err
	}
	if _, err := gpg(ctx, work, "--passphrase", "", "--quick-gen-key", "Patchring lab <"+keyAddress+">", "ed25519", "sign", "never"); err != nil {
		return err
	}
	public, err := gpg(ctx, work, "--export", keyAddress)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "public.gpg"), public, 0o644); err != nil {
		return err
	}
	return os.Rename(work, dir)
}

// sign writes the clear-signed form of a Release file.
func (k Key) sign(ctx context.Context, release, signed string) (err error) {
	// Two runs may publish at once, and each call below ends its gpg-agent.
	held, err := lock.Acquire(ctx, k.dir+".lock", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	if _, err := gpg(ctx, k.dir, "--yes", "--clearsign", "--output", signed, release); err != nil {
		return fmt.Errorf("sign %s: %w", release, err)
	}
	return nil
}

// agentTries bounds how often gpg is tried again whose agent was going down.
const agentTries = 5

// gpg starts a gpg-agent that would outlive the lab: it is ended at once.
func gpg(ctx context.Context, dir string, args ...string) (out []byte, err error) {
	env := append(tool.Environment(), "GNUPGHOME="+filepath.Join(dir, "gnupg"))
	defer func() {
		_, killed := tool.Cmd{Args: []string{"gpgconf", "--kill", "gpg-agent"}, Env: env}.Output(context.WithoutCancel(ctx))
		err = errors.Join(err, killed)
	}()
	for try := 1; ; try++ {
		out, err = tool.Cmd{Args: append([]string{"gpg", "--batch", "--quiet"}, args...), Env: env}.Output(ctx)
		// The agent that the call before has ended may still take the connection.
		if err == nil || try == agentTries || !strings.Contains(err.Error(), "can't connect to the agent") {
			return out, err
		}
	}
}
