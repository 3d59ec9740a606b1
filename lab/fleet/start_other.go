//go:build !linux

package fleet

import (
	"context"

	"patchring/lab/holder"
)

// started does not exist here.
type started struct {
	leash    *holder.Leash
	detached bool
}

func (f *Fleet) start(context.Context, Config) error { return Supported() }

func (f *Fleet) detach() error { return Supported() }

func (f *Fleet) down(context.Context) error { return Supported() }

// Down ends the run of that name; there is none on this system.
func Down(context.Context, string, string) error { return Supported() }
