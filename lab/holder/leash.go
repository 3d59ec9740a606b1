package holder

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

// Leash ties a lab to whoever started it: a socket pair with one end inside. The
// outer end says "free" to let the lab live on by itself; an outer end that closes
// without it, as the kernel does for a process that is killed, ends the lab.
type Leash struct {
	conn net.Conn
	read *bufio.Reader
}

const (
	leashBegin = "begin"
	leashFree  = "free"
	leashReady = "ready"
	leashError = "error "
)

// NewLeash takes either end over: the file is closed, the leash owns the socket.
func NewLeash(end *os.File) (*Leash, error) {
	conn, err := net.FileConn(end)
	if err := errors.Join(err, end.Close()); err != nil {
		return nil, fmt.Errorf("open leash: %w", err)
	}
	return &Leash{conn: conn, read: bufio.NewReader(conn)}, nil
}

// Begin is for the outer end: the lab's first process is written down, and the lab may
// touch the run's folder. Until then it waits, so that one whose starter died before
// cannot get in the way of the next.
func (l *Leash) Begin() error { return l.send(leashBegin) }

// AwaitReady is for the outer end: it returns when the lab is up, or why it is not.
func (l *Leash) AwaitReady(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	line, err := l.line()
	if !stop() {
		return fmt.Errorf("wait for the lab: %w", context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("wait for the lab: it ended without a word: %w", err)
	}
	if text, ok := strings.CutPrefix(line, leashError); ok {
		if plain, err := strconv.Unquote(text); err == nil {
			text = plain
		}
		return fmt.Errorf("start the lab: %s", text)
	}
	if line != leashReady {
		return fmt.Errorf("wait for the lab: it said %q", line)
	}
	return nil
}

// Free is for the outer end: from now on the lab ends only by being killed.
func (l *Leash) Free() error { return l.send(leashFree) }

// Close drops the leash.
func (l *Leash) Close() error {
	if err := l.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("drop leash: %w", err)
	}
	return nil
}

// begun is for the inner end: it returns when the lab may begin.
func (l *Leash) begun() error {
	line, err := l.line()
	if err == nil && line != leashBegin {
		err = fmt.Errorf("it said %q", line)
	}
	if err != nil {
		return fmt.Errorf("the lab's owner did not let it begin: %w", err)
	}
	return nil
}

// held is for the inner end: it returns when the lab must end.
func (l *Leash) held(ctx context.Context) error {
	line, err := l.line()
	if line == leashFree {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if err == nil {
		err = fmt.Errorf("it said %q", line)
	}
	return fmt.Errorf("the lab's owner is gone: %w", err)
}

// report is for the inner end: the lab is up, or why it is not.
func (l *Leash) report(cause error) error {
	if cause != nil {
		return l.send(leashError + strconv.Quote(cause.Error()))
	}
	return l.send(leashReady)
}

func (l *Leash) line() (string, error) {
	line, err := l.read.ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimSuffix(line, "\n"), err
}

func (l *Leash) send(line string) error {
	if _, err := io.WriteString(l.conn, line+"\n"); err != nil {
		return fmt.Errorf("speak on leash: %w", err)
	}
	return nil
}
