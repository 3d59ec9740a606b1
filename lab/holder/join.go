package holder

import (
	"io"
	"net"
	"sync"
)

// Join copies both ways until both sides have ended. An end of one direction is
// passed on, so that protocols that close one half work.
func Join(a, b net.Conn) {
	var both sync.WaitGroup
	carry := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
			err = half.CloseWrite()
		}
		if err != nil { // one side is gone: so is the conversation
			a.Close()
			b.Close()
		}
	}
	both.Go(func() { carry(a, b) })
	both.Go(func() { carry(b, a) })
	both.Wait()
}
