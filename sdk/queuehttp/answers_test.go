package queuehttp

import (
	"net/http"
	"testing"
)

func TestWantsJSON(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/*": false, "text/html": false, "application/json": true, "Application/JSON": true,
		"text/html, application/json": true, "application/json; q=0": false, "application/json;q=0.5": true, "application/json;q=x": false,
		"application/jsonp": false, "text/plain;x=\"application/json\"": false, "application/json; charset=utf-8": true, ";;,application/json": true,
	} {
		if got := wantsJSON(&http.Request{Header: http.Header{"Accept": {accept}}}); got != want {
			t.Errorf("Accept %q: %t, want %t", accept, got, want)
		}
	}
}
