package store

import (
	"context"
	"database/sql"
	"sync"

	"patchring/internal/infra/store/gen"
)

// parsed keeps the generated statements parsed. SQLite would parse a text each
// time it is run, which is more than half of what a heartbeat costs; the
// driver of PostgreSQL keeps them by itself. The texts are constants of package
// gen, so there are few of them; texts made up on the way do not pass here.
type parsed struct {
	db *sql.DB

	mu     sync.Mutex // guards all below
	ready  map[string]*sql.Stmt
	wanted map[string]bool
}

func newParsed(db *sql.DB) *parsed {
	return &parsed{db: db, ready: map[string]*sql.Stmt{}, wanted: map[string]bool{}}
}

// statement answers nil for a text that is not parsed yet, and remembers it.
func (p *parsed) statement(text string) *sql.Stmt {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.ready[text]
	if s == nil {
		p.wanted[text] = true
	}
	return s
}

// parse does what was remembered. It needs a connection, so nobody who holds
// the only one for writing may call it: not inside a transaction. A text that cannot
// be parsed says so to whoever runs it.
func (p *parsed) parse(ctx context.Context) {
	for _, text := range p.take() {
		s, err := p.db.PrepareContext(ctx, text)
		if err != nil {
			continue
		}
		p.keep(text, s)
	}
}

func (p *parsed) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for text := range p.wanted {
		list = append(list, text)
	}
	clear(p.wanted)
	return list
}

func (p *parsed) keep(text string, s *sql.Stmt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ready[text] != nil {
		_ = s.Close() // another was quicker; a statement nobody ran has nothing to lose
		return
	}
	p.ready[text] = s
}

// inTx runs the parsed statements inside a transaction.
type inTx struct {
	*sql.Tx
	parsed *parsed
	bound  map[string]*sql.Stmt // of this transaction
}

var _ gen.DBTX = (*inTx)(nil)

func (t *inTx) statement(ctx context.Context, text string) *sql.Stmt {
	if s := t.bound[text]; s != nil {
		return s
	}
	s := t.parsed.statement(text)
	if s == nil {
		return nil
	}
	t.bound[text] = t.StmtContext(ctx, s)
	return t.bound[text]
}

// ExecContext implements gen.DBTX.
func (t *inTx) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if s := t.statement(ctx, text); s != nil {
		return s.ExecContext(ctx, args...)
	}
	return t.Tx.ExecContext(ctx, text, args...)
}

// QueryContext implements gen.DBTX.
func (t *inTx) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if s := t.statement(ctx, text); s != nil {
		return s.QueryContext(ctx, args...)
	}
	return t.Tx.QueryContext(ctx, text, args...)
}

// QueryRowContext implements gen.DBTX.
func (t *inTx) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	if s := t.statement(ctx, text); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return t.Tx.QueryRowContext(ctx, text, args...)
}

// inPool runs the parsed statements on the read pool, where a text that is new
// can be parsed at once.
type inPool struct {
	*sql.DB
	parsed *parsed
}

var _ gen.DBTX = inPool{}

func (p inPool) statement(ctx context.Context, text string) *sql.Stmt {
	if s := p.parsed.statement(text); s != nil {
		return s
	}
	p.parsed.parse(ctx)
	return p.parsed.statement(text)
}

// ExecContext implements gen.DBTX.
func (p inPool) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if s := p.statement(ctx, text); s != nil {
		return s.ExecContext(ctx, args...)
	}
	return p.DB.ExecContext(ctx, text, args...)
}

// QueryContext implements gen.DBTX.
func (p inPool) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if s := p.statement(ctx, text); s != nil {
		return s.QueryContext(ctx, args...)
	}
	return p.DB.QueryContext(ctx, text, args...)
}

// QueryRowContext implements gen.DBTX.
func (p inPool) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	if s := p.statement(ctx, text); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return p.DB.QueryRowContext(ctx, text, args...)
}
