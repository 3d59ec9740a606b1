package lang

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"patchring/internal/core/policy"
)

var update = flag.Bool("update", false, "write the fields into the manuals")

// The manuals list every field that conditions may ask, as the language itself
// has them: go test ./internal/face/lang -run Manuals -update writes them.
func TestManualsListTheFieldsOfPolicies(t *testing.T) {
	for _, m := range []struct {
		file string
		lang Lang
		head string
	}{
		{"en/policy.md", English, "| field | type | meaning |"},
		{"fr/politique.md", French, "| champ | type | sens |"},
	} {
		path := filepath.Join(root, "docs", m.file)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for name, fields := range map[string][]policy.Field{"device": policy.DeviceFields(), "patch": policy.PatchFields()} {
			text = between(t, text, "<!-- "+name+" fields -->\n", fieldTable(m.lang, m.head, fields))
		}
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if text != string(raw) && !*update {
			t.Errorf("%s does not list the fields of policies as they are: go test ./internal/face/lang -run Manuals -update", m.file)
		}
	}
}

func between(t *testing.T, text, begin, table string) string {
	t.Helper()
	at := strings.Index(text, begin)
	end := strings.Index(text[max(0, at):], "<!-- end -->")
	if at < 0 || end < 0 {
		t.Fatalf("the manual has no place for %q", begin)
	}
	return text[:at+len(begin)] + table + text[at+end:]
}

func fieldTable(l Lang, head string, fields []policy.Field) string {
	var out strings.Builder
	out.WriteString(head + "\n|---|---|---|\n")
	for _, f := range fields {
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", f.Name, For(string(l)).Word(FieldType, string(f.Type)), f.Doc.In(string(l)))
	}
	return out.String()
}

// What the manuals show of policies is one: their blocks, below a head.
func TestManualsShowPoliciesThatAreSound(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, file := range []string{"en/policy.md", "fr/politique.md"} {
		raw, err := os.ReadFile(filepath.Join(root, "docs", file))
		if err != nil {
			t.Fatal(err)
		}
		text := "policy: manual\ntitle: Manual\nowner: us\ntimezone: Europe/Paris\n"
		blocks := block.FindAllStringSubmatch(string(raw), -1)
		for _, b := range blocks {
			text += b[1]
		}
		p, err := policy.Parse(file, []byte(text))
		if err != nil || len(blocks) != 3 || len(p.Rules) != 3 || len(p.Profiles) != 1 || len(p.Freezes)+len(p.Safeguards)+len(p.Limits) != 3 {
			t.Errorf("%s: %d blocks, %v", file, len(blocks), err)
		}
	}
}
