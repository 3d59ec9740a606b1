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

// benchRehearse runs the rehearsal's own benchmark, which is beside its code.
func benchRehearse(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "Rehearse", "-benchtime", "1x", "./internal/core/rehearsal").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run the benchmark: %w: %.500s", err, out)
	}
	took := rehearsals(string(out))
	for _, kind := range []string{"alike", "distinct"} {
		thousand := took[kind][1000]
		if thousand == 0 {
			return errors.New("the benchmark does not rehearse 1000 " + kind + " devices")
		}
		for _, size := range []int{1000, 10_000, 100_000} {
			if took[kind][size] == 0 {
				continue
			}
			f := Figure{
				Name: fmt.Sprintf("rehearse %d %s devices × 500 patches", size, kind), Value: took[kind][size].Seconds(), Unit: "s",
				Baseline: fmt.Sprintf("%d times 1000 devices", size/1000), Base: thousand.Seconds() * float64(size) / 1000,
			}
			if size == 100_000 {
				f.Aim = 10
			}
			b.add(f)
		}
	}
	return nil
}

// rehearsals reads the benchmark's lines, whose name says what sort of fleet and
// ends with its size:
//
//	BenchmarkRehearse/alike/devices=1000-2   1   34219223 ns/op   460.0 classes
func rehearsals(out string) map[string]map[int]time.Duration {
	line := regexp.MustCompile(`(?m)^BenchmarkRehearse/(\w+)/\D*(\d+)\S*\s+\d+\s+([\d.]+) ns/op`)
	took := map[string]map[int]time.Duration{}
	for _, m := range line.FindAllStringSubmatch(out, -1) {
		size, e1 := strconv.Atoi(m[2])
		ns, e2 := strconv.ParseFloat(m[3], 64)
		if e1 != nil || e2 != nil {
			continue
		}
		if took[m[1]] == nil {
			took[m[1]] = map[int]time.Duration{}
		}
		took[m[1]][size] = time.Duration(ns)
	}
	return took
}
