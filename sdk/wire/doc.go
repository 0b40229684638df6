// Package wire is the contract between the modhost host and a plugin process,
// both ends of it: a [net/http.Handler] in one process is one in the other.
// README.md beside this file is the protocol for other languages.
//
// The plugin's end is [NewServer] around a [Plugin], which package sdk makes
// of a module. The host's end is a [Client]: for each HTTP exchange it makes a
// [Request] and lets the module's process answer by [Client.Serve]; if that
// process ends, the next one's Client may serve the same Request:
//
//	q := wire.NewRequest(w, r, id, mount, time.Now())
//	defer q.Close()
//	for {
//		err := current().Serve(q)
//		switch {
//		case err == nil:
//			return
//		case q.CanResume() || q.CanRetry():
//			waitForNext()
//		case q.Answered() || errors.Is(err, wire.ErrAborted):
//			panic(http.ErrAbortHandler)
//		default:
//			wire.WriteError(w, ...)
//			return
//		}
//	}
//
// An exchange is one gRPC stream. While a request waits it costs no goroutine
// of this package beside net/http's on the host and gRPC's in the plugin: a
// small body is read before the stream is opened, and the plugin receives only
// when its handler wants something.
package wire
