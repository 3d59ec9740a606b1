package personal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	_ "image/jpeg" // what people have
	"image/png"

	"golang.org/x/image/draw"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/wire"
)

// What is taken as a logo, and what is made of it.
const (
	MaxUpload = 2 << 20 // bytes of a file
	maxSide   = 8000    // pixels: a small file can unpack into a large picture
	maxPixels = 25_000_000
	width     = 320 // what is kept fits in
	height    = 96
)

// SetLogo keeps a PNG or JPEG as the tenant's logo. It is drawn again, smaller:
// nothing of the file but its pixels reaches a browser or a desktop.
func (o *Office) SetLogo(ctx context.Context, tenant fleet.TenantID, by register.Actor, file []byte) error {
	body, size, err := redraw(file)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	return o.DB.Write(ctx, func(tx *store.Tx) error {
		now := o.Clock().UnixMicro()
		if err := tx.PutLogo(ctx, gen.PutLogoParams{
			Tenant: string(tenant), Sha256: hex.EncodeToString(sum[:]), Body: body, Width: int64(size.X), Height: int64(size.Y), Actor: string(by), AtUs: now,
		}); err != nil {
			return fmt.Errorf("keep the logo: %w", err)
		}
		tx.Record(register.Entry{
			Tenant: string(tenant), AtUS: now, Actor: by, Kind: register.LogoChanged, Detail: map[string]any{"sha256": hex.EncodeToString(sum[:])},
		})
		return nil
	})
}

// RemoveLogo takes it away.
func (o *Office) RemoveLogo(ctx context.Context, tenant fleet.TenantID, by register.Actor) error {
	return o.DB.Write(ctx, func(tx *store.Tx) error {
		n, err := tx.DropLogo(ctx, string(tenant))
		if err != nil {
			return fmt.Errorf("drop the logo: %w", err)
		}
		if n == 0 {
			return fault.New(fault.NotFound, "what", "logo", "name", "")
		}
		tx.Record(register.Entry{Tenant: string(tenant), AtUS: o.Clock().UnixMicro(), Actor: by, Kind: register.LogoChanged, Detail: map[string]any{"sha256": ""}})
		return nil
	})
}

// Logo is the tenant's, as PNG; nil when it has none.
func (o *Office) Logo(ctx context.Context, tenant fleet.TenantID) ([]byte, error) {
	row, err := o.DB.Read().Logo(ctx, string(tenant))
	if store.IsNone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the logo of %s: %w", tenant, err)
	}
	return row.Body, nil
}

func redraw(file []byte) ([]byte, image.Point, error) {
	if len(file) == 0 {
		return nil, image.Point{}, invalid("file", "empty", "PNG, JPEG")
	}
	if len(file) > MaxUpload {
		return nil, image.Point{}, invalid("file", "too_long", fmt.Sprintf("≤ %d MiB", MaxUpload>>20))
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, image.Point{}, invalid("file", "not_a_picture", "PNG, JPEG").Wrap(err)
	}
	if config.Width > maxSide || config.Height > maxSide || config.Width*config.Height > maxPixels || config.Width == 0 || config.Height == 0 {
		return nil, image.Point{}, invalid("file", "picture_too_large", fmt.Sprintf("≤ %d × %d", maxSide, maxSide))
	}
	picture, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, image.Point{}, invalid("file", "not_a_picture", "PNG, JPEG").Wrap(err)
	}
	for w, h := width, height; w > 0 && h > 0; w, h = w/2, h/2 {
		size := fit(image.Pt(config.Width, config.Height), w, h)
		drawn := image.NewNRGBA(image.Rectangle{Max: size})
		draw.CatmullRom.Scale(drawn, drawn.Bounds(), picture, picture.Bounds(), draw.Src, nil)
		var out bytes.Buffer
		encoder := png.Encoder{CompressionLevel: png.BestCompression}
		if err := encoder.Encode(&out, drawn); err != nil {
			return nil, image.Point{}, fmt.Errorf("draw the logo: %w", err)
		}
		if out.Len() <= wire.MaxLogoBytes { // a photograph is made smaller until it fits
			return out.Bytes(), size, nil
		}
	}
	return nil, image.Point{}, invalid("file", "picture_too_large", "a logo")
}

// fit is a size in w × h with the proportions of of, and never larger.
func fit(of image.Point, w, h int) image.Point {
	if of.X <= w && of.Y <= h {
		return of
	}
	if of.X*h > of.Y*w {
		return image.Pt(w, max(1, of.Y*w/of.X))
	}
	return image.Pt(max(1, of.X*h/of.Y), h)
}
