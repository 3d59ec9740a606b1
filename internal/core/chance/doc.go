// Package chance says how well chance explains a difference: exact tests where
// numbers are small, their usual approximation where they are not, intervals
// beside them, and what many questions and many looks cost.
//
// It owns the arithmetic and knows nothing of devices. It refuses to decide: what
// probability is small enough, and what difference matters, is for who asks.
// Distributions come from gonum; the rank tests, which it has not, are here.
// Pure values; safe from any goroutine.
package chance
