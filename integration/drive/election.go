package drive

import (
	"net/http"
	"slices"
	"testing"
)

// An Election is one election as the candidates of one host see it. Its methods
// fail the test like those of [Lock], and take parameters as those do.
type Election struct{ line *Lock }

// Election returns an election of the host, which must have the leader module,
// see [Elections], and stay at its URL. name is as it stands in a URL.
func (h *Host) Election(t testing.TB, name string) *Election {
	return &Election{&Lock{URL: h.URL + "/mod/v2/leader/" + name, t: t, http: h.http, etcd: h.Etcd, module: "leader", name: name}}
}

// candidacy are the parameters of a candidate.
func candidacy(candidate string, parameters []any) []any {
	return slices.Concat(withTTL(parameters), []any{"name", candidate})
}

// Lead makes the candidate the leader, which nobody else may be, or renews its
// term, and returns the index.
func (e *Election) Lead(candidate string, parameters ...any) (index uint64) {
	e.line.t.Helper()
	return e.line.Must(http.MethodPut, append(candidacy(candidate, parameters), "timeout", 0)...).Token(e.line.t)
}

// Stand sends a candidacy and goes on.
func (e *Election) Stand(candidate string, parameters ...any) *Call {
	return e.line.Begin(http.MethodPut, candidacy(candidate, parameters)...)
}

// AwaitWaiting waits until n candidates wait behind the leader.
func (e *Election) AwaitWaiting(n int, among ...*Call) {
	e.line.t.Helper()
	e.line.AwaitWaiting(n, among...)
}

// Line returns the leader and the candidates, from etcd itself. The election's
// name must be as for [LineKey].
func (e *Election) Line() []Entry {
	e.line.t.Helper()
	return e.line.Line()
}

// Withdraw takes the leader or a candidate out of the election.
func (e *Election) Withdraw(candidate string) {
	e.line.t.Helper()
	e.line.Must(http.MethodDelete, "name", candidate)
}

// Leader is the leader's name, "" if nobody leads.
func (e *Election) Leader() string {
	e.line.t.Helper()
	return e.line.Must(http.MethodGet).Body
}
