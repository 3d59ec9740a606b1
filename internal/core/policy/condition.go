package policy

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
)

// Conditions are written in CEL, the Common Expression Language: typed, without
// loops that do not end, without side effects. What they may ask is in fields.go;
// older(a, b) compares versions.
//
// maxCost bounds one evaluation, in the language's own units: about a
// millisecond. A condition that could cost more is refused when it is saved.
const (
	maxCost   = 20_000
	maxSource = 2000 // bytes of a condition
)

// condition is one expression over subjects of one sort.
type condition[S any] struct {
	Source  string
	program cel.Program
	fields  map[string]field[S]
	asked   map[string]bool // the fields it reads
}

// DeviceCondition chooses devices; nil chooses all.
type DeviceCondition = condition[*Device]

// PatchCondition chooses patches; nil chooses all.
type PatchCondition = condition[*Patch]

// The environments never change and cost milliseconds to make.
var (
	deviceLanguage = sync.OnceValues(func() (*language[*Device], error) { return newLanguage(deviceFields()) })
	patchLanguage  = sync.OnceValues(func() (*language[*Patch], error) { return newLanguage(patchFields()) })
)

// CompileDevices reads a condition on devices.
func CompileDevices(source string) (*DeviceCondition, error) {
	l, err := deviceLanguage()
	if err != nil {
		return nil, err
	}
	return l.compile(source)
}

// CompilePatches reads a condition on patches.
func CompilePatches(source string) (*PatchCondition, error) {
	l, err := patchLanguage()
	if err != nil {
		return nil, err
	}
	return l.compile(source)
}

// language is the environment of conditions of one sort.
type language[S any] struct {
	env    *cel.Env
	fields map[string]field[S]
}

func newLanguage[S any](bound []field[S]) (*language[S], error) {
	l := &language[S]{fields: map[string]field[S]{}}
	options := []cel.EnvOption{
		// has() is left out: a tag or a software that is not there is an empty text.
		cel.ClearMacros(),
		cel.Macros(cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.MapMacro, cel.FilterMacro),
		cel.CrossTypeNumericComparisons(true), // ram_gb < 8 and ram_gb < 7.5
		cel.ParserRecursionLimit(30),
		cel.Function("older", cel.Overload("older_text_text", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, cel.BinaryBinding(older))),
	}
	for _, f := range bound {
		l.fields[f.Name] = f
		options = append(options, cel.Variable(f.Name, f.Type.celType()))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("make the language of conditions: %w", err)
	}
	l.env = env
	return l, nil
}

// older tells whether version a comes before version b, and both are known.
func older(a, b ref.Val) ref.Val {
	va, vb := string(a.(types.String)), string(b.(types.String))
	return types.Bool(va != "" && vb != "" && patch.OlderVersion(va, vb))
}

// Why a condition is refused; the text around says where.
var (
	errNotBool = errors.New("gives no yes or no")
	errTooLong = fmt.Errorf("is longer than %d bytes", maxSource)
	errTooDear = errors.New("could take too long to evaluate")
)

func (l *language[S]) compile(source string) (*condition[S], error) {
	if len(source) > maxSource {
		return nil, errTooLong
	}
	parsed, issues := l.env.Compile(source)
	if issues != nil && issues.Err() != nil {
		return nil, l.explain(source, issues)
	}
	if parsed.OutputType() != cel.BoolType {
		return nil, errNotBool
	}
	estimate, err := l.env.EstimateCost(parsed, sizes{})
	if err != nil {
		return nil, fmt.Errorf("estimate its cost: %w", err)
	}
	if estimate.Max > maxCost {
		return nil, errTooDear
	}
	program, err := l.env.Program(parsed, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("prepare it: %w", err)
	}
	return &condition[S]{Source: source, program: program, fields: l.fields, asked: asked(parsed)}, nil
}

// asked lists the fields that an expression reads.
func asked(parsed *cel.Ast) map[string]bool {
	out := map[string]bool{}
	for _, r := range parsed.NativeRep().ReferenceMap() {
		out[r.Name] = true
	}
	return out
}

var dotted = regexp.MustCompile(`^[A-Za-z_]+(\.[A-Za-z_]+)?`)

// explain says what is wrong at which column, and names the field that was
// probably meant.
func (l *language[S]) explain(source string, issues *cel.Issues) error {
	first := issues.Errors()[0]
	said := first.Message
	if name, found := strings.CutPrefix(said, "undeclared reference to '"); found {
		name, _, _ = strings.Cut(name, "'")
		if whole := dotted.FindString(source[min(first.Location.Column(), len(source)):]); strings.HasPrefix(whole, name) {
			name = whole // the library names the first part only
		}
		said = fmt.Sprintf("%q is not known here", name)
		said += "; " + manifest.Suggest(name, slices.Sorted(maps.Keys(l.fields)))
	}
	if strings.Contains(said, "(double, int)") || strings.Contains(said, "(int, double)") {
		said += "; == between these wants a decimal point, for example 8.0"
	}
	return fmt.Errorf("column %d: %s", first.Location.Column()+1, said)
}

// sizes bounds what the cost estimate cannot know: no text or list of ours is
// longer, and software is not walked through.
type sizes struct{}

const longest = 200

// EstimateSize implements cost.Estimator.
func (sizes) EstimateSize(cost.AstNode) *cost.SizeEstimate {
	return &cost.SizeEstimate{Min: 0, Max: longest}
}

// EstimateCallCost implements cost.Estimator: the library's own estimates.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// Holds evaluates a condition. One that fails on a subject (a cast of a text
// that is no number, say) does not hold for it: a rule that could not be read
// for a device never acts on that device.
func (c *condition[S]) Holds(s S, now time.Time) bool {
	if c == nil {
		return true
	}
	value, _, err := c.program.Eval(&subject[S]{c.fields, s, now})
	return err == nil && value == types.True
}

// subject is what a condition is asked of.
type subject[S any] struct {
	fields map[string]field[S]
	of     S
	now    time.Time
}

// ResolveName implements interpreter.Activation.
func (a *subject[S]) ResolveName(name string) (any, bool) {
	f, ok := a.fields[name]
	if !ok {
		return nil, false
	}
	return f.get(a.of, a.now), true
}

// Parent implements interpreter.Activation.
func (a *subject[S]) Parent() interpreter.Activation { return nil }

// words is a map in which what is missing is an empty text.
type words map[string]string

var _ traits.Mapper = words{}

func (w words) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	return types.String(w[string(name)]), true
}

func (w words) Get(key ref.Val) ref.Val { v, _ := w.Find(key); return v }

// Contains is what the operator in asks: there, missing is missing.
func (w words) Contains(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.False
	}
	_, there := w[string(name)]
	return types.Bool(there)
}

func (w words) Size() ref.Val             { return types.Int(len(w)) }
func (w words) Iterator() traits.Iterator { return w.native().Iterator() }
func (w words) Type() ref.Type            { return types.MapType }
func (w words) Value() any                { return map[string]string(w) }
func (w words) Equal(other ref.Val) ref.Val {
	return w.native().Equal(other)
}
func (w words) ConvertToType(t ref.Type) ref.Val { return w.native().ConvertToType(t) }
func (w words) ConvertToNative(t reflect.Type) (any, error) {
	return w.native().ConvertToNative(t)
}
func (w words) native() traits.Mapper { return types.NewStringStringMap(types.DefaultTypeAdapter, w) }
