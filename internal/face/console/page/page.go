// Package page is the console's pages: for each one a view struct, which says
// all that the page shows, and the markup that shows it. The same markup is
// the page, its live fragments and what is pushed.
//
// It reads nothing and decides nothing: who fills the structs is the console's
// Reader. Texts of people (names, reasons) come as they are; states and
// reasons come as codes and become words here.
//
// Every component is a pure function of its arguments, safe from any goroutine.
package page
