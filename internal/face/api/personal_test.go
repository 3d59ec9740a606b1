package api_test

import (
	"bytes"
	"image"
	"image/png"
	"net/http"
	"strings"
	"testing"

	"patchring/internal/core/fault"
	"patchring/internal/face/api"
	"patchring/internal/infra/view"
	"patchring/internal/service/personal"
)

func TestADevicesLinkIsGivenAndRevoked(t *testing.T) {
	s := newSite(t)
	const d = "01900000-0000-7000-8000-000000000042"
	s.device(d, "till-1")
	l := decode[personal.Link](t, s.get("/devices/till-1/link"))
	if !strings.HasPrefix(l.URL, "https://") || !strings.Contains(l.URL, personal.Path) || l.Expires.IsZero() {
		t.Fatalf("the link is %+v", l)
	}
	s.wantProblem("no reason", s.post("/devices/"+d+"/link/revoke", api.RevokeLinks{}), http.StatusUnprocessableEntity, fault.ReasonRequired)
	if a := s.post("/devices/"+d+"/link/revoke", api.RevokeLinks{Reason: "lost"}); a.status != http.StatusNoContent {
		t.Fatalf("revoke: %d %s", a.status, a.body)
	}
	if again := decode[personal.Link](t, s.get("/devices/till-1/link")); again.URL == l.URL {
		t.Error("the link after is the link before")
	}
	if list := decode[view.FeedbackPage](t, s.get("/feedback?which=all&device=till-1")); len(list.Rows) != 0 {
		t.Errorf("feedback of a device that said nothing: %+v", list.Rows)
	}
	s.wantProblem("a list that is none", s.get("/feedback?which=some"), http.StatusUnprocessableEntity, fault.InvalidField)
	s.wantProblem("feedback that is none", s.post("/feedback/x/close", api.CloseFeedback{Reason: "r"}), http.StatusNotFound, fault.NotFound)
}

func TestTheLogoIsPutShownAndRemoved(t *testing.T) {
	s := newSite(t)
	s.wantProblem("no logo", s.get("/logo"), http.StatusNotFound, fault.NotFound)
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewNRGBA(image.Rect(0, 0, 40, 40))); err != nil {
		t.Fatal(err)
	}
	if a := s.do(http.MethodPut, api.Prefix+"/logo", s.token, api.PutLogo{File: file.Bytes()}); a.status != http.StatusNoContent {
		t.Fatalf("put: %d %s", a.status, a.body)
	}
	if a := s.get("/logo"); a.status != http.StatusOK || !bytes.HasPrefix(a.body, []byte("\x89PNG")) {
		t.Errorf("show: %d", a.status)
	}
	if a := s.do(http.MethodDelete, api.Prefix+"/logo", s.token, nil); a.status != http.StatusNoContent {
		t.Errorf("remove: %d %s", a.status, a.body)
	}
}
