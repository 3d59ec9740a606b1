package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"patchring/internal/infra/view"
)

func (c *cli) campaignWatch() *cobra.Command {
	return c.verb(verb{
		use: "watch CAMPAIGN", short: "Watch a campaign live until it is closed", args: 1,
		long: `On a terminal the board is drawn again whenever something changes; q leaves.
Elsewhere each change is a line, and with --json each board is a line of JSON.`,
		run: func(ctx context.Context, api *client, args []string) error {
			switch {
			case c.json:
				return c.watchJSON(ctx, api, args[0])
			case isTerminal(c.Out) && isTerminal(c.In):
				return c.watchScreen(ctx, api, args[0])
			}
			return c.watchLines(ctx, api, args[0])
		},
	})
}

// watch reads boards, and takes a broken connection up again: a server that
// restarts is no reason to stop watching. It ends with the campaign.
func (c *client) watch(ctx context.Context, campaign string, each func(view.Board) error) error {
	for {
		closed := false
		err := c.events(ctx, path("campaigns", campaign, "watch"), func(data []byte) error {
			var b view.Board
			if err := json.Unmarshal(data, &b); err != nil {
				return fmt.Errorf("read board: %w", err)
			}
			closed = b.Campaign.State == "closed"
			return each(b)
		})
		var no *refused
		if closed || ctx.Err() != nil || errors.As(err, &no) || errors.Is(err, errStop) {
			return err
		}
		if err := pause(ctx, watchAgain); err != nil {
			return nil // asked to stop
		}
	}
}

const watchAgain = 2 * time.Second

// errStop ends a watch from inside.
var errStop = errors.New("stopped watching")

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *cli) watchJSON(ctx context.Context, api *client, campaign string) error {
	enc := json.NewEncoder(c.Out)
	return api.watch(ctx, campaign, func(b view.Board) error { return enc.Encode(b) })
}

// watchLines writes what is new of each board: rings that changed, and events.
func (c *cli) watchLines(ctx context.Context, api *client, campaign string) error {
	seen := int64(-1)
	last := map[string]string{}
	return api.watch(ctx, campaign, func(b view.Board) error {
		t := boardText{words: c.words(), now: c.Clock(), over: b.Campaign.State == "closed"}
		for i := len(b.Events) - 1; i >= 0; i-- {
			if e := b.Events[i]; e.Index > seen {
				seen = e.Index
				if _, err := lipgloss.Fprintln(c.Out, t.event(e)); err != nil {
					return err
				}
			}
		}
		for _, a := range b.Amendments {
			for _, r := range a.Rings {
				key := fmt.Sprintf("%d/%s", a.Number, r.Ring)
				line := fmt.Sprintf("%-*s %s: %s", nameWidth, r.Ring, t.ringState(r), t.numbers(r.Numbers))
				// The state is compared without the time left, which always changes.
				mark := r.State + r.Verdict + fmt.Sprint(r.Numbers)
				if last[key] == mark {
					continue
				}
				last[key] = mark
				if _, err := lipgloss.Fprintln(c.Out, line); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// screen is the live board of a terminal.
type screen struct {
	text  boardText
	clock func() time.Time
	board *view.Board
	err   error
	ended bool
	hint  string
}

type boardMsg view.Board

type endedMsg struct{ err error }

type tickMsg struct{}

func (c *cli) watchScreen(ctx context.Context, api *client, campaign string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	in, _ := c.In.(*os.File)
	w := c.words()
	model := screen{text: boardText{words: w, events: 8}, clock: c.Clock, hint: w.T("cli.watch_hint")}
	program := tea.NewProgram(model, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(c.Out))
	watched := make(chan error, 1)
	go func() {
		err := api.watch(ctx, campaign, func(b view.Board) error {
			program.Send(boardMsg(b))
			return nil
		})
		program.Send(endedMsg{err})
		watched <- err
	}()
	_, err := program.Run()
	stop()
	if failed := <-watched; failed != nil && !errors.Is(failed, context.Canceled) {
		return failed
	}
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// Init implements tea.Model.
func (s screen) Init() tea.Cmd { return tick() }

// tick redraws what changes with time alone.
func tick() tea.Cmd {
	return tea.Tick(time.Second, func(time.Time) tea.Msg { return tickMsg{} })
}

// Update implements tea.Model.
func (s screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.KeyPressMsg:
		if k := m.String(); k == "q" || k == "esc" || k == "ctrl+c" {
			return s, tea.Quit
		}
	case tea.WindowSizeMsg:
		s.text.width = m.Width
	case boardMsg:
		b := view.Board(m)
		s.board = &b
	case tickMsg:
		return s, tick()
	case endedMsg:
		s.ended, s.err = true, m.err
		return s, tea.Quit
	}
	return s, nil
}

// View implements tea.Model.
func (s screen) View() tea.View {
	if s.board == nil {
		return tea.NewView("…\n")
	}
	s.text.now = s.clock()
	text := s.text.render(*s.board)
	if !s.ended {
		text += "\n" + faintStyle().Render(s.hint)
	}
	return tea.NewView(text + "\n")
}
