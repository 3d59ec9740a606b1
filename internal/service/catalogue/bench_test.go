package catalogue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"patchring/internal/core/feed"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/service/catalogue"
)

// BenchmarkImport imports a tracker of 100,000 rows and judges 500 patches by it; most
// of it is the writing of the rows.
func BenchmarkImport(b *testing.B) {
	db, err := store.Open(b.Context(), store.Options{URL: b.TempDir() + "/b.db"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	s := newSiteFor(b, db)
	err = db.Write(b.Context(), func(tx *store.Tx) error { return manyPatches(b.Context(), tx, 500) })
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++ // another file each time: the same one would not be imported again
		text := largeTracker(1000, 100, n)
		got, err := s.Import(b.Context(), tenant, register.User("ines"), catalogue.ImportAsk{Feed: feed.Debian, File: "f", Content: []byte(text)})
		if err != nil || got.Entries != 100_000 {
			b.Fatalf("%+v, %v", got, err)
		}
	}
}

func manyPatches(ctx context.Context, tx *store.Tx, patches int) error {
	var errs []error
	for i := range patches {
		k := patch.Key{Provider: "apt", Name: fmt.Sprintf("s%d", i), Version: "1.99-1", Suite: "bookworm-security"}
		_, err := tx.PutPatch(ctx, gen.PutPatchParams{Tenant: tenant, ID: string(k.ID()), Provider: k.Provider, Name: k.Name, Version: k.Version, Suite: k.Suite, Class: string(patch.Security)})
		errs = append(errs, err, tx.JoinInstalled(ctx, gen.Missing{Tenant: tenant, Patch: string(k.ID()), Installed: "1.90-1"}))
	}
	return errors.Join(errs...)
}

func largeTracker(sources, each, seed int) string {
	var rows []string
	for i := range sources {
		cves := make([]string, each)
		for j := range cves {
			cves[j] = fixed(fmt.Sprintf("CVE-2026-%d", 10000+i*each+j), fmt.Sprintf("1.%d-%d", j, seed), "medium")
		}
		rows = append(rows, source(fmt.Sprintf("s%d", i), cves...))
	}
	return "{" + strings.Join(rows, ",") + "}"
}
