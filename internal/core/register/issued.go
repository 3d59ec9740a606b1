package register

// Issued tells whether the entry issued a document whose file has this SHA-256,
// in hex.
func (e Entry) Issued(sha256 string) bool {
	if e.Kind != DossierIssued {
		return false
	}
	files, _ := e.Detail["files"].([]any)
	for _, f := range files {
		file, _ := f.(map[string]any)
		if file["sha256"] == sha256 {
			return true
		}
	}
	return false
}
