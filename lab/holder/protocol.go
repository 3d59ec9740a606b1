// Package holder is the inside of a running lab: the processes that live in the
// lab's own namespaces and keep its hosts.
//
// It owns the bridge, each host's network, root and boots, and the web server of
// the mirror. It takes its whole description from one Spec file, answers on one
// control socket, and ends, with every host, mount and network, when its first
// process is killed or its leash is dropped. Only the fleet starts it and speaks
// to it; what both must agree on is in this file.
package holder

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// The addresses of the lab. Hosts have no other route, so that a wrong address
// fails at once and cannot leave the machine.
const (
	ServerAddress = "10.99.0.1"
	PrefixBits    = 16
	MirrorPort    = "8000"
)

// MirrorURL is where hosts find the mirror and the lab's repository.
const MirrorURL = "http://" + ServerAddress + ":" + MirrorPort

// Spec describes one run. It is written once and read by each process inside.
type Spec struct {
	Dir    string `json:"dir"`    // the run's folder
	Binary string `json:"binary"` // the program that contains this package
	Root   string `json:"root"`   // lower layer of every host
	Mirror string `json:"mirror"`
	Repo   string `json:"repo"`
	Share  string `json:"share,omitempty"` // seen by hosts, read-only
	Light  bool   `json:"light,omitempty"` // hosts without systemd
	Cgroup string `json:"cgroup"`
	Hosts  []Host `json:"hosts"`
}

// Host is one host of a run.
type Host struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	Install []string `json:"install,omitempty"` // packages present from the start, as name=version
	// Prepare are commands run after the packages were installed.
	Prepare [][]string `json:"prepare,omitempty"`
}

// SpecFile is where a run keeps its Spec.
func SpecFile(dir string) string { return filepath.Join(dir, "spec.json") }

// SocketFile is a run's control socket. It is a file: connecting to it works from
// outside the lab's network.
func SocketFile(dir string) string { return filepath.Join(dir, "control") }

// ConsoleFile has what a host wrote on its console, all boots.
func ConsoleFile(dir, host string) string { return filepath.Join(dir, "hosts", host, "console.log") }

// LogFile has what the lab itself had to say.
func LogFile(dir string) string { return filepath.Join(dir, "lab.log") }

// Op is what a request asks for.
type Op string

// The requests. Each is answered when it is done, not when it is begun.
const (
	OpStatus   Op = "status"
	OpCut      Op = "cut"       // take the host off the network
	OpHeal     Op = "heal"      // put it back
	OpPowerCut Op = "power-cut" // as if the cable was pulled; it stays off
	OpPowerOn  Op = "power-on"
	OpReset    Op = "reset" // power cut, fresh disk, power on
	OpDial     Op = "dial"  // the connection becomes one to Address in the lab's network
)

// Request is one line of JSON on the control socket; Reply is another.
type Request struct {
	Op      Op     `json:"op"`
	Host    string `json:"host,omitempty"`
	Address string `json:"address,omitempty"`
}

// Reply carries the hosts after the request: the one it named, or all.
type Reply struct {
	Error string       `json:"error,omitempty"`
	Hosts []HostStatus `json:"hosts,omitempty"`
}

// Power is what a host is doing.
type Power string

// The states of a host.
const (
	PowerStarting Power = "starting" // its init does not run yet
	PowerOn       Power = "on"
	PowerOff      Power = "off"
	PowerFailed   Power = "failed" // it ended at once, several times; see its console
)

// HostStatus is what the lab knows of a host without asking it.
type HostStatus struct {
	Name    string    `json:"name"`
	Address string    `json:"address"`
	Power   Power     `json:"power"`
	Cut     bool      `json:"cut"`
	Boots   int       `json:"boots"`
	BootID  string    `json:"boot_id,omitempty"`
	Since   time.Time `json:"since"`         // of the last boot
	PID     int       `json:"pid,omitempty"` // of its init, in the lab's process namespace
	Ended   string    `json:"ended,omitempty"`
}

// Call sends one request and reads its reply. The connection is left open: after
// OpDial it carries the bytes.
func Call(conn net.Conn, req Request) (Reply, error) {
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return Reply{}, fmt.Errorf("send %s: %w", req.Op, err)
	}
	line, err := readLine(conn)
	if err != nil {
		return Reply{}, fmt.Errorf("read answer to %s: %w", req.Op, err)
	}
	var reply Reply
	if err := json.Unmarshal(line, &reply); err != nil {
		return Reply{}, fmt.Errorf("read answer to %s: %w", req.Op, err)
	}
	return reply, nil
}

// lineLimit bounds one request or reply: a status of some hundred hosts.
const lineLimit = 1 << 20

// readLine reads byte by byte, so that nothing beyond the line is taken from a
// connection that goes on to carry something else.
func readLine(conn net.Conn) ([]byte, error) {
	var line []byte
	b := make([]byte, 1)
	for len(line) < lineLimit {
		if _, err := conn.Read(b); err != nil {
			return nil, err
		}
		if b[0] == '\n' {
			return line, nil
		}
		line = append(line, b[0])
	}
	return nil, fmt.Errorf("line longer than %d bytes", lineLimit)
}
