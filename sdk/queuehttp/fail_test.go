package queuehttp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/queue"
)

// What is left is never said to be less than it is, and nobody who was next
// is told of others.
func TestWords_Describe(t *testing.T) {
	now := time.Unix(1e9, 0)
	words := Words{Nobody: "nobody holds it", By: func(s queue.Status) string { return fmt.Sprintf("held by index %d", s.Index) }}
	held := func(left time.Duration) queue.Status { return queue.Status{Held: true, Index: 7, Remaining: left} }
	for _, tt := range []struct {
		name string
		e    queue.NotObtainedError
		want string
	}{
		{"a moment of a second", queue.NotObtainedError{Status: held(time.Millisecond)}, "held by index 7, 1s of its ttl left;"},
		{"nearly all", queue.NotObtainedError{Status: held(time.Minute - time.Millisecond)}, "held by index 7, 1m0s of its ttl left;"},
		{"whole seconds", queue.NotObtainedError{Status: held(59 * time.Second)}, "held by index 7, 59s of its ttl left;"},
		{"others first", queue.NotObtainedError{Status: queue.Status{Waiting: 2}, Position: 2},
			"nobody holds it at this moment, but others are first in the line; your place in the line was 2 of 2"},
		{"next", queue.NotObtainedError{Status: queue.Status{Waiting: 2}, Position: 1},
			"nobody holds it at this moment; your place in the line was 1 of 2"},
		{"not queued", queue.NotObtainedError{Status: queue.Status{Waiting: 2}},
			"nobody holds it at this moment, but others are first in the line; your place in the line would have been 3"},
	} {
		if got := words.describe(&tt.e, now); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
