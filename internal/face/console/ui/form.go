package ui

// Form is one act with what it needs to know. Its texts are words already: who
// fills it has chosen the language.
type Form struct {
	Title       string
	Subject     string // what the act is about
	Consequence string // what will happen, before it happens
	Action      string
	Submit      string
	Danger      bool
	Upload      bool // it has a file
	Back        string
	Error       string
	Fields      []Field
}

// FieldKind is how a field is asked for.
type FieldKind string

// Field kinds.
const (
	Text   FieldKind = "text"
	Area   FieldKind = "area"
	Date   FieldKind = "date"
	Choice FieldKind = "choice" // radio buttons
	Select FieldKind = "select"
	Ticks  FieldKind = "ticks" // check boxes
	Hidden FieldKind = "hidden"
	Time   FieldKind = "time" // of a day
	File   FieldKind = "file"
)

// Field is one value a form asks for.
type Field struct {
	Name     string
	Kind     FieldKind
	Label    string
	Hint     string
	Value    string
	Values   []string // chosen ones of Ticks
	Options  []Option
	Required bool
}

// Option is one choice of a field.
type Option struct{ Value, Label string }

func encoding(fm Form) string {
	if fm.Upload {
		return "multipart/form-data"
	}
	return "application/x-www-form-urlencoded"
}

func (fd Field) chosen(value string) bool {
	if fd.Value == value && value != "" {
		return true
	}
	for _, v := range fd.Values {
		if v == value {
			return true
		}
	}
	return false
}
