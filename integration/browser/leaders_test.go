package browser

import (
	"strings"
	"testing"
)

// A leader that stops to renew, one that never did, one that withdraws and one
// that is deposed: four transitions with their reasons.
func TestLeaders_TransitionsWithReasons(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "leaders?open=leader:orders")
	tb.Wait(`document.querySelector(".open").innerText.includes("Nobody leads")`)
	e := h.Election(t, "orders")
	e.Lead("a", "ttl", 5)
	for i, c := range []struct {
		name string
		ttl  int
	}{{"b", 2}, {"c", 600}, {"d", 600}, {"e", 600}} {
		e.Stand(c.name, "ttl", c.ttl)
		e.AwaitWaiting(i + 1)
		e.Lead("a", "ttl", 5) // renews
	}
	tb.Wait(is(column("Candidate"), []string{"c", "d", "e"}))
	e.Withdraw("c")
	tb.Wait(is(column("Candidate"), []string{"d", "e"}) + ` && ` + is(column("Place"), []string{"leads", "1"}))
	tb.Click(".act button|Depose…")
	tb.Wait(dialog + `.replaceAll(/\s+/g, " ").includes("Next leader e")`)
	tb.Click("button.danger|Depose")
	tb.Wait(is(column("Candidate"), []string{"e"}))

	reasons := []string{
		"forced by the dashboard, from 127.0.0.1", "released ", "expired the TTL ran out, it was never renewed",
		"lapsed it was no longer renewed, the TTL ran out",
	}
	for _, of := range []string{ofOpen, ofAll} {
		tb.Wait(is(history(of, "How it ended")+`.map((s) => s.trim())`, trimmed(reasons)))
		tb.Wait(is(history(of, "Next"), []string{"e", "d", "c", "b"}))
		tb.Wait(is(history(of, "Leader")+`.map((s) => s.split(" ")[0])`, []string{"d", "c", "b", "a"}))
	}
	tb.Wait(`document.querySelector(".lines svg.strip").getAttribute("aria-label").startsWith("The last hour: 4 transitions; led by a (")`)
	tb.Wait(`document.querySelector("td[data-label=Transitions]").innerText === "4 in 1 h, 4 in 24 h"`)
	if got := e.Leader(); got != "e" {
		t.Errorf("the API says that %q leads", got)
	}

	// An election that is over stays, with what was.
	e.Withdraw("e")
	tb.Wait(is(lineNames, []string{"orders"}) + ` && ` + lineRows + `[0].innerText.includes("vacant")`)
	tb.Reload()
	tb.Wait(history(ofOpen, "Leader") + `.length === 5`)
}

func trimmed(list []string) (out []string) {
	for _, s := range list {
		out = append(out, strings.TrimSpace(s))
	}
	return out
}
