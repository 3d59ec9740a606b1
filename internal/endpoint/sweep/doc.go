// Package sweep removes what a clean-up order names: old files of a kind, in
// the places that this program has built in for it. It decides on each file
// alone, and leaves alone whatever it is not sure of.
//
// It never follows a symbolic link, never leaves the file system it began on
// nor crosses a mount, and removes only plain files that are old by every one
// of their times, that belong to whom they should there, and that no process
// has open; then the directories that are empty by that, but never a place
// itself. A directory that somebody has locked is left alone, as
// systemd-tmpfiles does. Users own what is below their homes and below /tmp and
// may change it at any moment: every step goes through a descriptor of the
// directory above (os.Root), and what was opened is compared with what was
// looked at.
//
// Removing a file is idempotent: a sweep that was ended in the middle is begun
// again. One goroutine at a time.
package sweep
