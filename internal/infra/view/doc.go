// Package view is the read side: what screens, the API and the CLI show, read
// from the database by SQL written for the question asked. Its types are the
// bodies of the API.
//
// It owns the shape of what is shown, the keyset paging of every list and the
// whitelist of filters and orders. It refuses to write, to decide, to read one
// tenant's rows for another (the tenant is in every WHERE), and to let the
// length of a list depend on the size of the fleet.
//
// Instants are time.Time in UTC, zero and left out when there is none. Slices
// are never nil. A Reader is safe from any goroutine.
package view
