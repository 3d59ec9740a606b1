package server_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ARCHITECTURE.md names every package of each floor, once.
func TestTheArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, house, _ := strings.Cut(string(text), "\ncmd/")
	house, _, _ = strings.Cut(house, "```")
	floor := regexp.MustCompile(`(?m)^internal/(\w+)/.*\n((?:   .*\n)*)`)
	bracketed := regexp.MustCompile(`\([^)]*\)|provider/\S+`)
	floors := floor.FindAllStringSubmatch(house, -1)
	if len(floors) < 5 {
		t.Fatalf("%d floors found: the test reads nothing", len(floors))
	}
	for _, f := range floors {
		words := strings.Fields(bracketed.ReplaceAllString(f[2], " "))
		named := map[string]int{}
		for _, w := range words {
			named[w]++
		}
		packages, err := filepath.Glob("../" + f[1] + "/*/")
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range packages {
			switch name := filepath.Base(dir); {
			case f[1] == "server" || name == "testdata":
			case f[1] == "endpoint" && name == "provider":
			case named[name] != 1:
				t.Errorf("internal/%s/%s is named %d times", f[1], name, named[name])
			}
		}
	}
}
