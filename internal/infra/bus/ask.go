package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"patchring/internal/core/fleet"
	"patchring/wire"
)

// maxAnswerBytes bounds one answer; a longer one is as good as none.
const maxAnswerBytes = 64 << 10

// Answer is what one device said.
type Answer struct {
	Device fleet.DeviceID
	Data   []byte
}

// Ask puts a question to the agents that hear subject (wire.SubjectQuestionAll
// or wire.QuestionSubject) and calls each with one answer a device, in the
// caller's goroutine, until want devices have answered or ctx ends. Want 0
// waits until ctx ends. It returns how many answered; fewer than want is not
// an error, it is the answer.
func (b *Bus) Ask(ctx context.Context, to Audience, q wire.Question, each func(Answer)) (int, error) {
	l, err := b.line(to.Tenant)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", to.Subject, err)
	}
	payload, err := json.Marshal(q)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", to.Subject, err)
	}
	asked, err := l.ask.open(l, q.ID)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", to.Subject, err)
	}
	defer l.ask.close(q.ID)
	// One connection carries both, so the broker knows of the subscription
	// before it knows of the question.
	if err := l.conn.Publish(to.Subject, payload); err != nil {
		return 0, fmt.Errorf("ask %s: %w", to.Subject, err)
	}
	answered := 0
	for {
		for _, answer := range asked.take() {
			each(answer)
			answered++
			if answered == to.Want {
				return answered, nil
			}
		}
		select {
		case <-asked.more:
		case <-ctx.Done():
			return answered, nil
		}
	}
}

// Audience of a question.
type Audience struct {
	Tenant  fleet.TenantID
	Subject string
	Want    int // how many answers are enough; 0: all that come in time
}

// questions is the one subscription to a tenant's answers and who waits for
// them. One for all questions: a connection has few subscriptions.
type questions struct {
	mu   sync.Mutex // guards all below
	sub  *nats.Subscription
	byID map[string]*question
}

var errAsked = errors.New("a question of this id is being asked already")

func (q *questions) open(l *line, id string) (*question, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sub == nil {
		sub, err := l.subscribe(wire.AnswerPattern, "", q.hear)
		if err != nil {
			return nil, err
		}
		q.sub, q.byID = sub, make(map[string]*question)
	}
	if _, ok := q.byID[id]; ok {
		return nil, errAsked
	}
	asked := &question{more: make(chan struct{}, 1), heard: make(map[string]bool)}
	q.byID[id] = asked
	return asked, nil
}

func (q *questions) close(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.byID, id)
}

// hear runs in the subscription's goroutine and never waits.
func (q *questions) hear(m *nats.Msg) {
	device, id, err := wire.DeviceOf(m.Subject)
	if err != nil || len(m.Data) > maxAnswerBytes {
		return
	}
	q.mu.Lock()
	asked := q.byID[id]
	q.mu.Unlock()
	if asked != nil { // otherwise it came too late
		asked.put(device, m.Data)
	}
}

// question collects answers for one asker: at most one a device, so a device
// that answers without end fills nothing.
type question struct {
	more chan struct{} // holds one when waiting is not empty

	mu      sync.Mutex // guards all below
	heard   map[string]bool
	waiting []Answer
}

func (q *question) put(device string, data []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.heard[device] {
		return
	}
	q.heard[device] = true
	q.waiting = append(q.waiting, Answer{Device: fleet.DeviceID(device), Data: data})
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *question) take() []Answer {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.waiting
	q.waiting = nil
	return out
}
