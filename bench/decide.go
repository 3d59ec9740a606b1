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

// benchDecide runs the decision's own benchmark, which is beside its code.
func benchDecide(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "DecideDevices", "-benchtime", "3x", "./internal/core/campaign").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run the benchmark: %w: %.500s", err, out)
	}
	took := decisions(string(out))
	if len(took) == 0 {
		return errors.New("there is no BenchmarkDecideDevices in internal/core/campaign")
	}
	thousand, ok := took[1000]
	if !ok {
		return errors.New("the benchmark does not decide 1000 devices")
	}
	for _, size := range []int{1000, 10_000, 100_000} {
		if took[size] == 0 {
			continue
		}
		f := Figure{
			Name: fmt.Sprintf("decide a campaign of %d devices", size), Value: took[size].Seconds(), Unit: "s",
			Baseline: fmt.Sprintf("%d times 1000 devices", size/1000), Base: thousand.Seconds() * float64(size) / 1000,
		}
		if size == 100_000 {
			f.Aim = 2
		}
		b.add(f)
	}
	return nil
}

// decisions reads the benchmark's lines, whose name ends with the size:
//
//	BenchmarkDecideDevices/100000-2   3   912345678 ns/op
func decisions(out string) map[int]time.Duration {
	line := regexp.MustCompile(`(?m)^BenchmarkDecideDevices/\D*(\d+)\S*\s+\d+\s+([\d.]+) ns/op`)
	took := map[int]time.Duration{}
	for _, m := range line.FindAllStringSubmatch(out, -1) {
		size, e1 := strconv.Atoi(m[1])
		ns, e2 := strconv.ParseFloat(m[2], 64)
		if e1 == nil && e2 == nil {
			took[size] = time.Duration(ns)
		}
	}
	return took
}
