package browser

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/page"
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
			Object.defineProperty(Document.prototype, "hidden", {get: () => Boolean(window.away)});
		`})
		return err
	}))
	tb.Go(h.URL + "/mod/dashboard/")
	tb.WaitSee("[role=status]|live")
	streams := func(want float64) {
		t.Helper()
		tb.Await(fmt.Sprintf("%v streams", want), func() bool {
			return drive.Metric(t, h.URL, `modhost_http_requests_in_flight{module="dashboard"}`) == want
		})
	}
	streams(1)
	tab.Eval[bool](tb, `(window.away = true, document.dispatchEvent(new Event("visibilitychange")))`)
	streams(0)
	tab.Eval[bool](tb, `(window.away = false, document.dispatchEvent(new Event("visibilitychange")))`)
	streams(1)
	tb.WaitSee("[role=status]|live")
	grant(t, h.URL, "POST", "/mod/v2/lock/x?ttl=60", nil)
	tb.WaitSee(".figures dd|1 held")
}
