// Package gen is what sqlc makes of the queries and migrations of the store: one
// method a query, one type a table. Only the store's package and those it hands
// its Queries to use it; nobody edits it.
package gen
