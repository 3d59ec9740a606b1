//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// benchCoverage runs the choice's own benchmark, which is beside its code: 50
// pilots of a fleet with 300 programs on each device.
func benchCoverage(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "Propose", "-benchtime", "1x", "./internal/core/coverage").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run the benchmark: %w: %.500s", err, out)
	}
	took := map[int]time.Duration{}
	for _, m := range regexp.MustCompile(`(?m)^BenchmarkPropose/(\d+)\S*\s+\d+\s+([\d.]+) ns/op`).FindAllStringSubmatch(string(out), -1) {
		size, e1 := strconv.Atoi(m[1])
		ns, e2 := strconv.ParseFloat(m[2], 64)
		if e1 == nil && e2 == nil {
			took[size] = time.Duration(ns)
		}
	}
	if took[1000] == 0 || took[100_000] == 0 {
		return errors.New("BenchmarkPropose of internal/core/coverage has not chosen of 1000 and of 100000 devices")
	}
	for _, size := range []int{1000, 10_000, 100_000} {
		f := Figure{
			Name: fmt.Sprintf("choose 50 pilots of %d devices, 300 programs each", size), Value: took[size].Seconds(), Unit: "s",
			Baseline: fmt.Sprintf("%d times 1000 devices", size/1000), Base: took[1000].Seconds() * float64(size) / 1000,
		}
		if size == 100_000 {
			f.Aim = 10
		}
		b.add(f)
	}
	return nil
}
