package register

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The canonical form is RFC 8785 (JSON Canonicalization Scheme) without
// floating point: keys sorted by UTF-16 code units, no white space, shortest
// escapes, integers only and within ±(2^53−1), so that every JSON reader in
// any language sees the same value.

const (
	maxInteger = 1<<53 - 1
	maxDepth   = 16
)

type member struct {
	key   string
	value any
}

func appendMembers(out []byte, object []member, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if !slices.IsSortedFunc(object, byKey) {
		slices.SortFunc(object, byKey)
	}
	out = append(out, '{')
	for i, m := range object {
		if i > 0 {
			if object[i-1].key == m.key {
				return nil, fmt.Errorf("key %q twice", m.key)
			}
			out = append(out, ',')
		}
		if !utf8.ValidString(m.key) {
			return nil, fmt.Errorf("key %q is not UTF-8", m.key)
		}
		out = appendText(out, m.key)
		out = append(out, ':')
		var err error
		if out, err = appendValue(out, m.value, depth); err != nil {
			return nil, fmt.Errorf("%s: %w", m.key, err)
		}
	}
	return append(out, '}'), nil
}

// byKey orders by UTF-16 code units, which is byte order except between
// U+E000–U+FFFF and the supplementary planes.
func byKey(a, b member) int {
	for i := 0; i < len(a.key) && i < len(b.key); i++ {
		if a.key[i] >= utf8.RuneSelf || b.key[i] >= utf8.RuneSelf {
			return slices.Compare(utf16.Encode([]rune(a.key)), utf16.Encode([]rune(b.key)))
		}
		if a.key[i] != b.key[i] {
			return cmp.Compare(a.key[i], b.key[i])
		}
	}
	return cmp.Compare(len(a.key), len(b.key))
}

func appendValue(out []byte, value any, depth int) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(out, "null"...), nil
	case bool:
		return strconv.AppendBool(out, v), nil
	case string:
		return appendText(out, v), nil
	case int:
		return appendInteger(out, int64(v))
	case int64:
		return appendInteger(out, v)
	case json.Number:
		return appendNumber(out, v)
	case []any:
		return appendList(out, v, depth)
	case map[string]any:
		return appendMap(out, v, depth)
	default:
		return appendReflected(out, reflect.ValueOf(value), depth)
	}
}

// appendReflected serves named types (ids, codes) and lists and maps of them.
func appendReflected(out []byte, v reflect.Value, depth int) ([]byte, error) {
	switch {
	case v.Kind() == reflect.String:
		return appendText(out, v.String()), nil
	case v.Kind() == reflect.Bool:
		return strconv.AppendBool(out, v.Bool()), nil
	case v.CanInt():
		return appendInteger(out, v.Int())
	case v.CanUint() && v.Uint() <= maxInteger:
		return appendInteger(out, int64(v.Uint()))
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = v.Index(i).Interface()
		}
		return appendList(out, list, depth)
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		object := make(map[string]any, v.Len())
		for _, key := range v.MapKeys() {
			object[key.String()] = v.MapIndex(key).Interface()
		}
		return appendMap(out, object, depth)
	default:
		return nil, fmt.Errorf("value of type %s has no canonical form", v.Type())
	}
}

func appendList(out []byte, list []any, depth int) ([]byte, error) {
	if depth+1 > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	out = append(out, '[')
	for i, item := range list {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = appendValue(out, item, depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func appendMap(out []byte, object map[string]any, depth int) ([]byte, error) {
	members := make([]member, 0, len(object))
	for key, value := range object {
		members = append(members, member{key, value})
	}
	return appendMembers(out, members, depth+1)
}

func appendInteger(out []byte, v int64) ([]byte, error) {
	if v > maxInteger || v < -maxInteger {
		return nil, fmt.Errorf("integer %d is beyond 2^53", v)
	}
	return strconv.AppendInt(out, v, 10), nil
}

func appendNumber(out []byte, number json.Number) ([]byte, error) {
	v, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || strconv.FormatInt(v, 10) != string(number) {
		return nil, fmt.Errorf("number %s is not an integer in its only form", number)
	}
	return appendInteger(out, v)
}

const hexDigits = "0123456789abcdef"

func appendText(out []byte, text string) []byte {
	out = append(out, '"')
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r >= 0x20:
			out = utf8.AppendRune(out, r)
		case r == '\b':
			out = append(out, '\\', 'b')
		case r == '\t':
			out = append(out, '\\', 't')
		case r == '\n':
			out = append(out, '\\', 'n')
		case r == '\f':
			out = append(out, '\\', 'f')
		case r == '\r':
			out = append(out, '\\', 'r')
		default:
			out = append(out, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		}
	}
	return append(out, '"')
}

// parseObject reads one JSON object and nothing after it. It is not decoded into a
// struct because encoding/json would then ignore the case of keys.
func parseObject(raw []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, fmt.Errorf("read JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something after the JSON object")
	}
	return object, nil
}

// taker takes known fields out of a decoded object and remembers the first
// field of a wrong type. What is left in the object is unknown.
type taker struct {
	object map[string]any
	err    error
}

func (t *taker) take(key string) (any, bool) {
	value, ok := t.object[key]
	delete(t.object, key)
	return value, ok
}

func (t *taker) wrong(key, want string) {
	if t.err == nil {
		t.err = fmt.Errorf("%s is not %s", key, want)
	}
}

func (t *taker) text(key string) string {
	value, ok := t.take(key)
	text, isText := value.(string)
	if ok && !isText {
		t.wrong(key, "a string")
	}
	return text
}

func (t *taker) integer(key string) int64 {
	value, _ := t.take(key)
	number, isNumber := value.(json.Number)
	v, err := strconv.ParseInt(string(number), 10, 64)
	if !isNumber || err != nil {
		t.wrong(key, "an integer")
	}
	return v
}

func (t *taker) nested(key string) map[string]any {
	value, ok := t.take(key)
	object, isObject := value.(map[string]any)
	if ok && !isObject {
		t.wrong(key, "an object")
	}
	return object
}

func (t *taker) texts(key string) map[string]string {
	object := t.nested(key)
	if object == nil {
		return nil
	}
	texts := make(map[string]string, len(object))
	for name, value := range object {
		text, isText := value.(string)
		if !isText {
			t.wrong(key+"."+name, "a string")
		}
		texts[name] = text
	}
	return texts
}
