package wire

// EnrollPath is where a token is exchanged for a certificate, over HTTPS.
const EnrollPath = "/enroll/v1"

// EnrollRequest is what a new device says of itself. Nothing in it is trusted
// beyond the token: it describes, it does not authorise.
type EnrollRequest struct {
	Token      string `json:"token"`
	CSR        string `json:"csr"` // PEM, key of type P-256
	Name       string `json:"name"`
	MachineID  string `json:"machine_id"`
	Capability int    `json:"capability"`
	Version    string `json:"version"`
	OS         string `json:"os"` // os-release PRETTY_NAME or its like
}

// EnrollReply is everything an agent needs from then on.
type EnrollReply struct {
	Tenant      string   `json:"tenant"`
	Device      string   `json:"device"`
	Certificate string   `json:"certificate"` // PEM
	CA          string   `json:"ca"`          // PEM
	Brokers     []string `json:"brokers"`     // tls://host:port
	OrderKeys   []Key    `json:"order_keys"`  // pinned: orders signed by another key are refused
	RegisterKey string   `json:"register_key"`
	CheckinS    int64    `json:"checkin_s"`
	NowUS       int64    `json:"now_us"`
	DuplicateOf string   `json:"duplicate_of,omitempty"` // a device with the same machine id
}

// Key is a public key by its id.
type Key struct {
	ID     string `json:"id"`
	Public []byte `json:"public"` // ed25519, 32 bytes
}

// RenewRequest asks for the next certificate, with the present one as proof.
type RenewRequest struct {
	CSR string `json:"csr"`
}

// RenewReply carries the next certificate, or why there is none.
type RenewReply struct {
	Certificate string `json:"certificate,omitempty"`
	Error       *Error `json:"error,omitempty"`
}

// Error is a refusal with a stable code; Retry says whether the same request
// may pass later. An outage is always Retry, never a refusal.
type Error struct {
	Code  string            `json:"code"`
	Args  map[string]string `json:"args,omitempty"`
	Retry bool              `json:"retry,omitempty"`
}
