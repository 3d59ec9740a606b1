//go:build !linux

package units

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"time"
)

// Question is a program of the system that only looks.
type Question struct {
	Name    string
	Args    []string
	Timeout time.Duration
}

// maxLine is the longest line that is read.
const maxLine = 1 << 20

// Lines asks, and hands over each line of the answer; it is only valid during
// the call.
func Lines(ctx context.Context, q Question, each func(line []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, q.Name, q.Args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", q.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", q.Name, err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for err == nil && lines.Scan() {
		err = each(lines.Bytes())
	}
	if err == nil {
		err = lines.Err()
	}
	if err != nil {
		cancel() // it must not block on a pipe nobody reads
	}
	if ended := cmd.Wait(); err == nil && ended != nil {
		return fmt.Errorf("run %s: %w", q.Name, ended)
	}
	return err
}
