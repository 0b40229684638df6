package wire

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A call that the plugin's timer has ended has met its deadline, also when ours
// has a moment left; everything else is the plugin's end.
func TestGone_TheOtherSidesTimer(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		code codes.Code
		want error
	}{
		{sooner / 2, codes.Canceled, context.DeadlineExceeded},
		{sooner / 2, codes.DeadlineExceeded, context.DeadlineExceeded},
		{sooner / 2, codes.Unavailable, ErrGone},
		{time.Minute, codes.Canceled, ErrGone},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), c.left)
		err := gone(ctx, status.Error(c.code, "stream terminated"))
		cancel()
		if !errors.Is(err, c.want) {
			t.Errorf("gone of %v with %v left = %v, want %v", c.code, c.left, err, c.want)
		}
	}
}
