package supervisor

import (
	"slices"
	"testing"
)

func TestEnviron_OnlyTheAllowedAndTheNamed(t *testing.T) {
	host := []string{"PATH=/bin", "SECRET=x", "LC_ALL=C", "PATHX=1", "MODHOST_PLUGIN=y", "TZ=UTC"}
	got := environ(host, []string{"TOKEN=t", "TZ=CET"})
	want := []string{"PATH=/bin", "LC_ALL=C", "TZ=UTC", "TOKEN=t", "TZ=CET"}
	if !slices.Equal(got, want) {
		t.Errorf("environ = %q, want %q", got, want)
	}
}
