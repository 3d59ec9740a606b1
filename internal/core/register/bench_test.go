package register

import (
	"bytes"
	"testing"
)

func BenchmarkAppend500(b *testing.B) {
	entries := aStory(500)
	var tree Tree
	for b.Loop() {
		batch, err := Append(tree, entries)
		if err != nil {
			b.Fatal(err)
		}
		tree = batch.Tree
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkProveEntry(b *testing.B) {
	k := newKept(b)
	k.append(aStory(100_000)...)
	size := k.tree.Size()
	var index, hashes int64
	for b.Loop() {
		proof, err := ProveEntry(size, index, k)
		if err != nil {
			b.Fatal(err)
		}
		hashes += int64(len(proof))
		index = (index + 7919) % size
	}
	b.ReportMetric(float64(hashes)*32/float64(b.N), "proof-bytes")
}

func BenchmarkVerifyExport(b *testing.B) {
	k := newKept(b)
	k.append(aStory(10_000)...)
	file := k.export()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := Verify(bytes.NewReader(file), Trust{Key: k.key}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkVerifyStored(b *testing.B) {
	k := newKept(b)
	k.append(aStory(10_000)...)
	for b.Loop() {
		if _, err := VerifyStored(k.stored(), Trust{Key: k.key}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "entries/s")
}
