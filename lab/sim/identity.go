package sim

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"patchring/wire"
)

// saved is one line of the file of identities: all that a device needs to come
// back without enrolling.
type saved struct {
	Seed   uint64           `json:"seed"`
	Number int              `json:"number"`
	Key    []byte           `json:"key"` // SEC 1, DER
	Reply  wire.EnrollReply `json:"reply"`
}

// identity is what a device keeps of it in memory.
type identity struct {
	tenant, device string
	certificate    tls.Certificate
	// fresh tells that the server has no events of this device yet.
	fresh bool
}

// trust is what all devices of one site have in common.
type trust struct {
	text        string // the CA, PEM
	roots       *x509.CertPool
	brokers     []string
	keys        []wire.Key
	registerKey string
	checkin     time.Duration
}

var errOtherSite = errors.New("this identity is of another site than the others")

// identity takes what an enrolment gave. The first one settles whom the whole
// fleet trusts.
func (s *simulation) identity(from saved, fresh bool) (identity, error) {
	if s.trust.text == "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(from.Reply.CA)) {
			return identity{}, errors.New("the site's CA is not readable")
		}
		s.trust = trust{
			text: from.Reply.CA, roots: roots, brokers: from.Reply.Brokers, keys: from.Reply.OrderKeys,
			registerKey: from.Reply.RegisterKey, checkin: time.Duration(from.Reply.CheckinS) * time.Second,
		}
	}
	if s.trust.text != from.Reply.CA {
		return identity{}, errOtherSite
	}
	if len(from.Reply.Brokers) == 0 || len(from.Reply.OrderKeys) == 0 {
		return identity{}, errors.New("the server names no broker or no order key")
	}
	key, err := x509.ParseECPrivateKey(from.Key)
	if err != nil {
		return identity{}, fmt.Errorf("read key of device %d: %w", from.Number, err)
	}
	block, _ := pem.Decode([]byte(from.Reply.Certificate))
	if block == nil {
		return identity{}, fmt.Errorf("read certificate of device %d: it is not PEM", from.Number)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return identity{}, fmt.Errorf("read certificate of device %d: %w", from.Number, err)
	}
	if now := time.Now(); now.After(leaf.NotAfter) {
		return identity{}, fmt.Errorf("certificate of device %d ended at %s: remove the file and enrol again", from.Number, leaf.NotAfter.Format(time.RFC3339))
	}
	return identity{
		tenant: from.Reply.Tenant, device: from.Reply.Device, fresh: fresh,
		certificate: tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key},
	}, nil
}

// ledger is the file of identities, written as they come: a fleet that is
// stopped while it enrols keeps those it has.
type ledger struct {
	mu   sync.Mutex // guards file
	file *os.File   // nil: nothing is kept
}

// openLedger reads what is there and opens the file for more. A last line that
// was cut off by a crash is overwritten.
func openLedger(path string, seed uint64) (*ledger, map[int]saved, error) {
	known := map[int]saved{}
	if path == "" {
		return &ledger{}, known, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open identities: %w", err)
	}
	end, err := readLedger(file, seed, known)
	if err == nil {
		err = file.Truncate(end)
	}
	if err == nil {
		_, err = file.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read identities %s: %w", path, err), file.Close())
	}
	return &ledger{file: file}, known, nil
}

// readLedger answers where the last whole line ends.
func readLedger(r io.Reader, seed uint64, known map[int]saved) (end int64, err error) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		var one saved
		if err := json.Unmarshal(line, &one); err != nil {
			return end, err
		}
		if one.Seed != seed {
			return end, fmt.Errorf("%w: it is of a fleet of seed %d, not %d", ErrOptions, one.Seed, seed)
		}
		known[one.Number] = one
		end += int64(len(line))
	}
}

func (l *ledger) add(one saved) error {
	if l.file == nil {
		return nil
	}
	line, err := json.Marshal(one)
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("keep identity: %w", err)
	}
	return nil
}

func (l *ledger) close() error {
	if l.file == nil {
		return nil
	}
	if err := l.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("close identities: %w", err)
	}
	return nil
}

func keyBytes(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return der, nil
}
