package etcd

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
)

func TestLog_Levels(t *testing.T) {
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Trace, DisableTime: true})
	f := newFailures()
	z := zapLogger(log, f).With(zap.String("who", "me"))
	z.Debug("d")
	z.Info("i", zap.Int("n", 1))
	z.Warn("w", zap.Error(errors.New("cause")))
	z.Warn("simple token is not cryptographically signed")
	z.Error("e")
	f.ending.Store(true)
	z.Warn("late")
	z.Error("late")
	want := `[TRACE] d: who=me
[DEBUG] i: who=me n=1
[WARN]  w: who=me error=cause
[DEBUG] simple token is not cryptographically signed: who=me
[ERROR] e: who=me
[DEBUG] late: who=me
[ERROR] late: who=me
`
	if got := out.String(); got != want {
		t.Errorf("logged:\n%s\nwant:\n%s", got, want)
	}
}

func TestLog_FatalEndsTheGoroutineOnly(t *testing.T) {
	for name, write := range map[string]func(*zap.Logger){
		"fatal": func(z *zap.Logger) { z.Fatal("stop", zap.Error(syscall.ENOSPC)) },
		"panic": func(z *zap.Logger) { z.Panic("stop", zap.Error(syscall.ENOSPC)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFailures()
			ended := make(chan bool)
			go func() {
				on := false
				defer func() { ended <- on }()
				write(zapLogger(hclog.NewNullLogger(), f))
				on = true
			}()
			if <-ended {
				t.Error("went on after the message")
			}
			err := f.first()
			if !errors.Is(err, errFatal) || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("failure %v, want errFatal and its cause", err)
			}
			text := explain(err, Options{Dir: "data"}).Error()
			if want := `data_dir "data": no space left on its disk; free some or set another data_dir`; !strings.Contains(text, want) {
				t.Errorf("explained as %q, want %q", text, want)
			}
		})
	}
}
