package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"patchring/internal/core/register"
)

type verifyOptions struct {
	key      string
	seen     []string
	document string
}

// verifyResult is the outcome for programs.
type verifyResult struct {
	OK          bool          `json:"ok"`
	Form        register.Form `json:"form,omitempty"`
	Tenant      string        `json:"tenant"`
	Device      string        `json:"device,omitempty"`
	Entries     int64         `json:"entries"`
	Size        int64         `json:"size"`
	Root        string        `json:"root"`
	Key         string        `json:"key"`
	KeyFromFile bool          `json:"key_from_file,omitempty"`
	Flaw        register.Flaw `json:"flaw,omitempty"`
	First       int64         `json:"first"`
	Last        int64         `json:"last"`
	Detail      string        `json:"detail,omitempty"`
	// Restored is the latest restore from a backup; with the flaw "restored",
	// the one that lost the entries First to Last.
	RestoredAt   time.Time `json:"restored_at,omitzero"`
	RestoredSize int64     `json:"restored_size,omitempty"`
	Document     *issuedAs `json:"document,omitempty"` // of --document
}

// issuedAs is the entry that issued a document.
type issuedAs struct {
	SHA256 string    `json:"sha256"`
	Entry  int64     `json:"entry"` // -1: no entry issued this file
	Actor  string    `json:"actor,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

func (c *cli) registerVerify() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: "Verify an export or a passport offline, or the server's own register",
		Long: `Verify an export or a passport: no server is asked. Give the register's public
key with --key; without it the one in the file is used, which shows damage but
not a forger with a key of his own.

The key's owner could rewrite the past: whoever remembers an older checkpoint
finds it, with --seen. A device remembers some (patchring-agent status --json).

With --document FILE it also says whether the register issued this very file, a
dossier, and when: one that it did not issue, or that was changed since, is refused.

Without a file, the server verifies the register where it keeps it.

Exit codes:
  0  every entry fits
  1  it could not be read
  2  the flags make no sense
  3  it does not verify; the first entry that does not fit is named`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := o.run(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			if err := c.emit(result, func() error { return c.sayVerified(result) }); err != nil {
				return err
			}
			if !result.OK {
				return doesNotVerify{result}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.key, "key", "", "the register's public key")
	cmd.Flags().StringArrayVar(&o.seen, "seen", nil, "a file with a checkpoint remembered elsewhere: an older export or passport, or the signed checkpoint alone (may be repeated)")
	cmd.Flags().StringVar(&o.document, "document", "", "a dossier: say which entry issued this very file")
	cmd.Flags().BoolVar(&c.json, "json", false, "write JSON")
	return cmd
}

// doesNotVerify is the error of a register that was changed.
type doesNotVerify struct{ verifyResult }

// Error implements error.
func (d doesNotVerify) Error() string { return d.Detail }

// ExitCode is what the help promises.
func (d doesNotVerify) ExitCode() int { return exitRefused }

func (o verifyOptions) run(ctx context.Context, c *cli, args []string) (verifyResult, error) {
	if len(args) == 0 {
		if o.document != "" {
			return verifyResult{}, usage{errors.New("--document wants an export; or ask the server: campaign dossier CAMPAIGN --check FILE")}
		}
		api, err := c.connect()
		if err != nil {
			return verifyResult{}, err
		}
		var result verifyResult
		err = api.post(ctx, "/register/verify", nil, &result)
		return result, err
	}
	file, err := os.Open(args[0])
	if err != nil {
		return verifyResult{}, fmt.Errorf("read the register: %w", err)
	}
	defer file.Close() // only read
	trust := register.Trust{Key: o.key}
	if trust.Seen, err = o.remembered(file); err != nil {
		return verifyResult{}, err
	}
	if o.document != "" {
		if trust.Document, err = fileHash(o.document); err != nil {
			return verifyResult{}, err
		}
	}
	found, err := register.Verify(file, trust)
	result := verifyResult{
		OK: err == nil, Form: found.Form, Tenant: found.Tenant, Device: found.Device, Entries: found.Entries, Size: found.Checkpoint.Size,
		Root: found.Checkpoint.Root.String(), Key: found.Key, KeyFromFile: found.KeyFromFile, First: -1, Last: -1,
	}
	restored := found.Checkpoint.Restored
	var broken *register.Broken
	if errors.As(err, &broken) {
		result.Flaw, result.First, result.Last, result.Detail = broken.Flaw, broken.First, broken.Last, broken.Error()
		if broken.Flaw == register.FlawRestored {
			restored = broken.Restored
		}
		err = nil
	}
	if !restored.IsZero() {
		result.RestoredAt, result.RestoredSize = restored.At(), restored.Size
	}
	if err == nil && result.OK && trust.Document != "" {
		result.issued(trust.Document, found.Document)
	}
	return result, err
}

// issued tells which entry issued a document. A file that nobody issued does not
// verify, however sound the register is.
func (r *verifyResult) issued(sha256 string, by *register.Entry) {
	r.Document = &issuedAs{SHA256: sha256, Entry: -1}
	if by == nil {
		r.OK, r.Detail = false, "no entry of the register issued a document with SHA-256 "+sha256
		return
	}
	r.Document.Entry, r.Document.Actor, r.Document.At = by.Index, string(by.Actor), time.UnixMicro(by.AtUS).UTC()
}

// remembered opens the checkpoints of --seen by the key that the file is
// verified with.
func (o verifyOptions) remembered(file io.ReadSeeker) ([]register.Checkpoint, error) {
	if len(o.seen) == 0 {
		return nil, nil
	}
	key := o.key
	if key == "" {
		head, err := register.ReadHead(file)
		if err != nil {
			return nil, fmt.Errorf("read the register's key: %w", err)
		}
		key = head.Key
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("read the register: %w", err)
		}
	}
	var list []register.Checkpoint
	for _, name := range o.seen {
		c, err := openSeen(name, key)
		if err != nil {
			return nil, fmt.Errorf("--seen %s: %w", name, err)
		}
		list = append(list, c)
	}
	return list, nil
}

// openSeen reads an export, a passport or a signed checkpoint alone.
func openSeen(name, key string) (register.Checkpoint, error) {
	file, err := os.Open(name)
	if err != nil {
		return register.Checkpoint{}, err
	}
	defer file.Close() // only read
	in := bufio.NewReader(file)
	signed := ""
	if first, err := in.Peek(1); err == nil && first[0] == '{' {
		head, err := register.ReadHead(in)
		if err != nil {
			return register.Checkpoint{}, err
		}
		signed = head.Checkpoint
	} else {
		text, err := io.ReadAll(io.LimitReader(in, register.MaxEntry))
		if err != nil {
			return register.Checkpoint{}, err
		}
		signed = string(text)
	}
	return register.OpenCheckpoint(signed, key)
}

func (c *cli) sayVerified(r verifyResult) error {
	w := c.words()
	if r.Flaw == register.FlawRestored {
		return c.say(w.T("cli.not_verified_restored", "at", w.Moment(r.RestoredAt), "first", w.Number(r.First), "last", w.Number(r.Last)))
	}
	if !r.OK && r.Document != nil {
		return c.say(w.T("cli.document_unknown", "hash", r.Document.SHA256))
	}
	if !r.OK {
		return c.say(w.T("cli.not_verified", "entry", w.Number(r.First), "flaw", w.T("flaw."+string(r.Flaw))))
	}
	lines := []string{w.N("cli.verified", r.Entries, "tenant", r.Tenant, "root", r.Root)}
	if !r.RestoredAt.IsZero() {
		lines = append(lines, w.N("cli.was_restored", r.RestoredSize, "at", w.Moment(r.RestoredAt)))
	}
	if d := r.Document; d != nil {
		lines = append(lines, w.T("cli.document_issued", "entry", w.Number(d.Entry), "by", w.Actor(d.Actor), "at", w.Moment(d.At)))
	}
	if r.KeyFromFile {
		lines = append(lines, w.T("cli.key_from_file", "key", r.Key))
	}
	return c.say(lines...)
}
