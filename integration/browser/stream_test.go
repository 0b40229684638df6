package browser

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/etcd-modules/modhost/integration/browser/tab"
	"github.com/etcd-modules/modhost/integration/drive"
)

// Where tabs can't share a stream, one that nobody sees has none.
func TestFrame_WithoutSharedWorkers(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := chromium.Open(t)
	tb.Do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
			delete globalThis.SharedWorker;
			Object.defineProperty(Document.prototype, "hidden", {get: () => Boolean(sessionStorage.away)});
		`})
		return err
	}))
	tb.Go(h.URL + "/mod/dashboard/")
	tb.WaitSee("[role=status]|live")
	const back = `(delete sessionStorage.away, document.dispatchEvent(new Event("visibilitychange")))`
	streams := func(want float64) {
		t.Helper()
		tb.Await(fmt.Sprintf("%v streams", want), func() bool {
			return drive.Metric(t, h.URL, `modhost_http_requests_in_flight{module="dashboard"}`) == want
		})
	}
	streams(1)
	// In the same task as a topic is joined, of which the worker is told in the next.
	tab.Eval[bool](tb, module("live.js")+`.then(({ join }) => (join("locks"), sessionStorage.away = "yes", document.dispatchEvent(new Event("visibilitychange"))))`)
	frames(tb)
	streams(0)
	tab.Eval[bool](tb, back)
	streams(1)
	tb.WaitSee("[role=status]|live")

	// Nor has one that was never seen.
	tab.Eval[bool](tb, `Boolean(sessionStorage.away = "yes")`)
	tb.Reload()
	tb.WaitSee("h1")
	frames(tb)
	tb.WaitSee("[role=status]|connecting")
	streams(0)
	tab.Eval[bool](tb, back)
	tb.WaitSee("[role=status]|live")
	streams(1)
	grant(t, h.URL, "POST", "/mod/v2/lock/x?ttl=60", nil)
	tb.WaitSee(".figures dd|1 held")
}

// A worker that has died, as with the process that it was in, is replaced.
func TestFrame_AnotherWorker(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	tb := open(t, h, "")
	tb.Do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		all, err := chromedp.Call(ctx, target.GetTargets, target.GetTargetsParams{})
		if err != nil {
			return err
		}
		for _, one := range all.TargetInfos {
			if one.Type == "shared_worker" && strings.HasPrefix(one.URL, h.URL) {
				// The target in ctx is the tab, which does not close others.
				return chromedp.FromContext(ctx).Browser.Call(ctx, target.CommandCloseTarget, target.CloseTargetParams{TargetID: one.TargetID}, nil)
			}
		}
		return fmt.Errorf("no worker in %+v", all.TargetInfos)
	}))
	tb.WaitSee("[role=status]|reconnecting")
	tb.WaitSee("[role=status]|live")
	grant(t, h.URL, "POST", "/mod/v2/lock/x?ttl=60", nil)
	tb.WaitSee(".figures dd|1 held")
}
