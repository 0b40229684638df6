package etcd

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLogger returns the logger that etcd gets. It writes to log, and instead
// of ending the process it adds a failure and ends the goroutine.
func zapLogger(log hclog.Logger, f *failures) *zap.Logger {
	return zap.New(&core{log: log, ending: &f.ending}, zap.WithFatalHook(f), zap.WithPanicHook(f))
}

// core passes etcd's log on, one level lower: what it finds worth an info
// ("published local member to cluster") is no news to the host's user.
type core struct {
	log    hclog.Logger
	ending *atomic.Bool
	fields []zapcore.Field
}

var _ zapcore.Core = (*core)(nil)

// harmless are warnings about what the host does on purpose, by their
// beginning.
var harmless = []string{
	"Flag `enable-v2` is deprecated",               // the modules' store is the v2 API
	"simple token is not cryptographically signed", // etcd's authentication is off
	"Running http and grpc server on single port",  // one port is what we want
}

// level maps etcd's levels to ours. Warnings at the end are about the end:
// closed listeners, cancelled requests.
func (c *core) level(e zapcore.Entry) hclog.Level {
	switch {
	case e.Level >= zapcore.ErrorLevel:
		return hclog.Error
	case e.Level == zapcore.WarnLevel:
		if c.ending.Load() || slices.ContainsFunc(harmless, func(s string) bool { return strings.HasPrefix(e.Message, s) }) {
			return hclog.Debug
		}
		return hclog.Warn
	case e.Level == zapcore.InfoLevel:
		return hclog.Debug
	}
	return hclog.Trace
}

// Enabled implements zapcore.Core.
func (c *core) Enabled(l zapcore.Level) bool {
	return c.level(zapcore.Entry{Level: l}) >= c.log.GetLevel()
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{c.log, c.ending, slices.Concat(c.fields, fields)}
}

// Check implements zapcore.Core.
func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.level(e) >= c.log.GetLevel() {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	var args []any
	for _, f := range slices.Concat(c.fields, fields) {
		f.AddTo(enc)
		if v, ok := enc.Fields[f.Key]; ok {
			args = append(args, f.Key, v)
		}
	}
	c.log.Log(c.level(e), e.Message, args...)
	return nil
}

// Sync implements zapcore.Core.
func (c *core) Sync() error { return nil }

// errFatal marks errors with which etcd would have ended the process.
var errFatal = errors.New("etcd gave up")

// failures keeps the first reason for which etcd cannot go on.
type failures struct {
	failed chan struct{} // closed by the first one
	ending atomic.Bool   // etcd is being stopped

	mu  sync.Mutex // guards err
	err error
}

var _ zapcore.CheckWriteHook = (*failures)(nil)

func newFailures() *failures { return &failures{failed: make(chan struct{})} }

// add keeps err if it is the first.
func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil && err != nil {
		f.err = err
		close(f.failed)
	}
}

// first returns the first failure or nil.
func (f *failures) first() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// OnWrite is called by zap after a message of level panic or fatal.
func (f *failures) OnWrite(ce *zapcore.CheckedEntry, fields []zapcore.Field) {
	cause := error(fatal{ce.Message, nil})
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			cause = fatal{ce.Message, err}
		}
	}
	f.add(cause)
	runtime.Goexit()
}

// fatal is a message with which etcd would have ended the process.
type fatal struct {
	message string
	cause   error // may be nil
}

func (f fatal) Error() string {
	if f.cause == nil {
		return f.message
	}
	return fmt.Sprintf("%s: %v", f.message, f.cause)
}

// Unwrap makes fatal both errFatal and its cause.
func (f fatal) Unwrap() []error { return []error{errFatal, f.cause} }
