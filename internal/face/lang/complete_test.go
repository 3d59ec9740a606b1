package lang

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../../.."

// TestEveryReasonHasASentence reads codes.go itself, so a code added there
// without words fails here.
func TestEveryReasonHasASentence(t *testing.T) {
	codes := reasonCodes(t)
	if len(codes) < 80 {
		t.Fatalf("read %d codes of codes.go, want all of them", len(codes))
	}
	for _, l := range Langs() {
		words := file(t, l)
		for code, args := range codes {
			forms, ok := words["reason."+code]
			if !ok {
				t.Errorf("%s: no sentence for code %q", l, code)
				continue
			}
			for _, used := range placeholders(forms) {
				if !slices.Contains(args, used) {
					t.Errorf("%s: the sentence of %q uses %q; codes.go lists %q", l, code, used, args)
				}
			}
		}
		for id := range words {
			code, is := strings.CutPrefix(id, "reason.")
			if _, known := codes[code]; is && !known {
				t.Errorf("%s: %q is the sentence of no code", l, id)
			}
		}
	}
}

// stored are the types whose constants people see, with the family that has
// their words. A constant added in core without words fails here.
var stored = []struct {
	file, typ string
	family    Family
}{
	{"internal/core/patch/patch.go", "State", PatchState},
	{"internal/core/patch/patch.go", "Class", Class},
	{"internal/core/fleet/fleet.go", "State", DeviceState},
	{"internal/core/fleet/fleet.go", "Kind", Kind},
	{"internal/core/campaign/campaign.go", "State", CampaignState},
	{"internal/core/campaign/campaign.go", "Origin", Origin},
	{"internal/core/campaign/campaign.go", "Bucket", Bucket},
	{"internal/core/campaign/campaign.go", "Bucket", Outcome},
	{"internal/core/campaign/ring.go", "RingState", RingState},
	{"internal/core/campaign/gate.go", "Verdict", Gate},
	{"internal/core/campaign/explain.go", "CheckName", Check},
	{"internal/core/register/entry.go", "Kind", Act},
	{"internal/core/procedure/schedule.go", "NoteCode", CalendarNote},
	{"internal/core/procedure/procedure.go", "Severity", Severity},
	{"internal/core/policy/compare.go", "Part", Part},
	{"internal/core/policy/fields.go", "FieldType", FieldType},
	{"internal/core/task/task.go", "State", TaskState},
	{"internal/core/task/task.go", "Proof", ProofKind},
	{"internal/core/incident/incident.go", "State", IncidentState},
	{"internal/core/incident/incident.go", "Act", IncidentAct},
	{"internal/core/incident/incident.go", "Origin", IncidentOrigin},
	{"internal/core/campaign/ask.go", "Response", Response},
	{"internal/core/checklist/checklist.go", "State", TestState},
	{"internal/core/readiness/readiness.go", "Kind", Finding},
	{"internal/core/readiness/readiness.go", "Severity", Urgency},
	{"internal/core/readiness/readiness.go", "Fix", Fix},
	{"internal/core/lifecycle/lifecycle.go", "State", Lifecycle},
	{"internal/core/lifecycle/lifecycle.go", "Advice", Advice},
	{"internal/core/coverage/coverage.go", "Kind", Feature},
	{"internal/core/policy/fields.go", "Severity", Grade},
	{"internal/core/vulnerability/vulnerability.go", "Source", GradedBy},
	{"internal/core/feed/feed.go", "Name", Feed},
	{"internal/core/feed/debian.go", "Status", DebianStatus},
	{"internal/core/cleanup/decide.go", "State", CleanUpState},
	{"wire/cleanup.go", "CleanUpKind", CleanUpKind},
	{"wire/measure.go", "Measure", Measure},
	{"wire/measure.go", "ProbeType", ProbeType},
	{"internal/core/alert/event.go", "Event", AlertEvent},
	{"internal/core/alert/alert.go", "Severity", AlertSeverity},
	{"internal/core/alert/machine.go", "State", AlertState},
	{"internal/core/alert/machine.go", "NoticeKind", AlertNotice},
	{"internal/core/alert/output.go", "Way", OutputWay},
	{"internal/core/alert/do.go", "Do", AlertDo},
	{"internal/core/alert/compare.go", "ChangeKind", AlertChange},
	{"internal/core/alert/compare.go", "Field", AlertField},
	{"internal/service/herald/link.go", "FeedKind", FeedKind},
	{"wire/order.go", "Step", Step},
	{"wire/order.go", "OrderKind", Goal},
	{"wire/patches.go", "ScanStatus", Scan},
}

func TestEveryStoredValueHasAWord(t *testing.T) {
	for _, s := range stored {
		values := constants(t, filepath.Join(root, s.file), s.typ)
		if len(values) < 2 {
			t.Errorf("%s has %d constants of type %s, want at least 2", s.file, len(values), s.typ)
		}
		for _, v := range values {
			for _, l := range Langs() {
				if v != "" && !For(string(l)).Has(string(s.family)+"."+v) {
					t.Errorf("%s: no word for %s %q of %s", l, s.typ, v, s.file)
				}
			}
		}
	}
}

// TestEveryCodeHasATitle: counts show a code without its arguments, so a
// sentence that needs them wants a short title beside it.
func TestEveryCodeHasATitle(t *testing.T) {
	optional := regexp.MustCompile(`\{\{if [^}]*\}\}.*?\{\{end\}\}`)
	for _, l := range Langs() {
		words := file(t, l)
		for code := range reasonCodes(t) {
			if _, titled := words["cause."+code]; titled || len(words["reason."+code]) == 0 {
				continue
			}
			if bare := optional.ReplaceAllString(words["reason."+code][0], ""); strings.Contains(bare, "{{") {
				t.Errorf("%s: %q has no title, and its sentence needs arguments", l, code)
			}
		}
	}
}

func TestEveryEvidenceHasAWord(t *testing.T) {
	names := untyped(t, filepath.Join(root, "internal/core/campaign/gate.go"), "Evidence")
	if len(names) < 5 {
		t.Fatalf("found evidence %q, want at least 5", names)
	}
	for _, name := range names {
		for _, l := range Langs() {
			if !For(string(l)).Has(string(Evidence) + "." + name) {
				t.Errorf("%s: no word for evidence %q", l, name)
			}
		}
	}
}

func TestBothFilesSayTheSameThings(t *testing.T) {
	en, fr := file(t, English), file(t, French)
	for id, forms := range en {
		other, ok := fr[id]
		if !ok {
			t.Errorf("fr lacks %q", id)
			continue
		}
		if len(forms) != len(other) {
			t.Errorf("%s has %d forms in English and %d in French", id, len(forms), len(other))
		}
		if a, b := placeholders(forms), placeholders(other); !slices.Equal(a, b) {
			t.Errorf("%s: English uses %q, French uses %q", id, a, b)
		}
	}
	for id := range fr {
		if _, ok := en[id]; !ok {
			t.Errorf("en lacks %q", id)
		}
	}
}

// english are words that no French sentence holds.
var english = regexp.MustCompile(`(?i)\b(the|of|and|is|with|not|device|devices|failed|campaign|by|from|please|ring|gate|sign-off|hold|until|since|workstation|server)\b`)

func TestNoEnglishIsLeftInFrench(t *testing.T) {
	en := file(t, English)
	action := regexp.MustCompile(`\{\{[^}]*\}\}`)
	for id, forms := range file(t, French) {
		for i, form := range forms {
			said := action.ReplaceAllString(form, "")
			if w := english.FindString(said); w != "" && !slices.Contains(sameInBoth, id) {
				t.Errorf("%s: %q holds the English word %q", id, form, w)
			}
			if len(said) > 12 && i < len(en[id]) && form == en[id][i] && !slices.Contains(sameInBoth, id) {
				t.Errorf("%s: %q is the same in both languages", id, form)
			}
		}
	}
}

// sameInBoth are keys that rightly read the same in both languages.
var sameInBoth = []string{"date.patch_tuesday", "frame.language"}

// TestNoWordIsUnused looks for each key, or the family it belongs to, in the
// sources that show words.
func TestNoWordIsUnused(t *testing.T) {
	families := constants(t, "word.go", "Family")
	src := sources(t)
	for id := range file(t, English) {
		prefix, _, _ := strings.Cut(id, ".")
		if prefix == "reason" || prefix == "problem" || prefix == "cause" || slices.Contains(families, prefix) {
			continue
		}
		if !strings.Contains(src, strconv.Quote(id)) && !strings.Contains(src, `"`+prefix+`." +`) &&
			!strings.Contains(src, `"`+prefix+`."+`) && !ofAct(src, prefix, id) {
			t.Errorf("%q is used nowhere", id)
		}
	}
}

// ofAct tells that a key is one of those that forms make from a verb:
// act_VERB.title and the like.
func ofAct(src, prefix, id string) bool {
	verb, is := strings.CutPrefix(prefix, "act_")
	_, part, _ := strings.Cut(id, ".")
	return is && strings.Contains(src, strconv.Quote(verb)) && strings.Contains(src, `".`+part+`"`)
}

// TestNoWordIsMissing looks for keys written in the sources that no file has.
func TestNoWordIsMissing(t *testing.T) {
	en := file(t, English)
	for _, m := range regexp.MustCompile(`\.[TN]\("([a-z0-9_.\-]+)"[,)]`).FindAllStringSubmatch(sources(t), -1) {
		if _, ok := en[m[1]]; !ok {
			t.Errorf("there is no word %q", m[1])
		}
	}
}

// file reads a word file into its forms, sorted by plural: one, other.
func file(t *testing.T, l Lang) map[string][]string {
	t.Helper()
	raw, err := files.ReadFile(string(l) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var parsed map[string]any
	if err := json.Unmarshal(raw, &parsed); err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]string, len(parsed))
	for id, v := range parsed {
		switch v := v.(type) {
		case string:
			out[id] = []string{v}
		case map[string]any:
			out[id] = []string{v["one"].(string), v["other"].(string)}
		}
	}
	return out
}

func placeholders(forms []string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`\{\{[^}]*?\.([a-z_]+)\s*\}\}`).FindAllStringSubmatch(strings.Join(forms, " "), -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// reasonCodes are the codes of codes.go with the arguments their line comments
// list.
func reasonCodes(t *testing.T) map[string][]string {
	t.Helper()
	codes := map[string][]string{}
	eachConstant(t, filepath.Join(root, "internal/core/fault/codes.go"), "Code", func(value, comment string) {
		var args []string
		for _, a := range strings.Split(comment, ",") {
			if a = strings.TrimSpace(a); a != "" {
				args = append(args, a)
			}
		}
		codes[value] = args
	})
	return codes
}

func constants(t *testing.T, path, typ string) []string {
	t.Helper()
	var out []string
	eachConstant(t, path, typ, func(value, _ string) { out = append(out, value) })
	return out
}

func eachConstant(t *testing.T, path, typ string, found func(value, comment string)) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range parsed.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			c := spec.(*ast.ValueSpec)
			name, ok := c.Type.(*ast.Ident)
			if !ok || name.Name != typ {
				continue
			}
			value, err := strconv.Unquote(c.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found(value, c.Comment.Text())
		}
	}
}

// untyped are the string constants of a file whose names begin with prefix.
func untyped(t *testing.T, path, prefix string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		c, ok := n.(*ast.ValueSpec)
		if ok && c.Type == nil && len(c.Values) == 1 && strings.HasPrefix(c.Names[0].Name, prefix) {
			if lit, ok := c.Values[0].(*ast.BasicLit); ok {
				value, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, value)
			}
		}
		return true
	})
	return out
}

// sources is the text of everything that may show words.
func sources(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range []string{"cmd", "internal/face", "internal/service", "internal/server", "lab"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_templ.go") {
				return err
			}
			if ext := filepath.Ext(path); ext != ".go" && ext != ".templ" {
				return nil
			}
			raw, err := os.ReadFile(path)
			b.Write(raw)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
