package history

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func acquire(token uint64, owner string, call, ret, valid time.Duration) Op {
	return Op{Kind: Acquire, Token: token, Owner: owner, Call: call, Return: ret, Valid: valid}
}

func release(token uint64, call, ret time.Duration) Op {
	return Op{Kind: Release, Token: token, Call: call, Return: ret}
}

func read(token uint64, call, ret time.Duration) Op {
	return Op{Kind: Read, Token: token, Call: call, Return: ret}
}

func TestHistory_Check(t *testing.T) {
	for name, test := range map[string]struct {
		ok  bool
		ops []Op
	}{
		"empty":                                  {true, nil},
		"one by one":                             {true, []Op{acquire(1, "a", 0, 1, 100), release(1, 5, 6), acquire(2, "b", 0, 7, 100), release(2, 8, 9)}},
		"granted while the release is under way": {true, []Op{acquire(1, "a", 0, 1, 100), release(1, 5, 9), acquire(2, "b", 0, 7, 100)}},
		"shared":                                 {true, []Op{acquire(1, "a", 0, 1, 100), acquire(1, "a", 0, 3, 100), release(1, 5, 6), acquire(2, "b", 0, 7, 100)}},
		"expired":                                {true, []Op{acquire(1, "a", 0, 1, 50), acquire(2, "b", 0, 60, 100)}},
		"expired after a renewal":                {true, []Op{acquire(1, "a", 0, 1, 50), {Kind: Renew, Token: 1, Owner: "a", Call: 40, Return: 41, Valid: 90}, acquire(2, "b", 0, 95, 150)}},
		"released too late":                      {true, []Op{acquire(1, "a", 0, 1, 50), acquire(2, "b", 0, 60, 200), {Kind: Missed, Token: 1, Call: 70, Return: 71}}},
		"release with an unknown end":            {true, []Op{acquire(1, "a", 0, 1, 100), {Kind: Doubt, Token: 1, Call: 5, Return: 50}, acquire(2, "b", 0, 20, 200)}},
		"doubtful release after its end":         {true, []Op{acquire(1, "a", 0, 1, 50), acquire(2, "b", 0, 60, 100), {Kind: Doubt, Token: 1, Call: 70, Return: 90}}},
		"read":                                   {true, []Op{read(0, 0, 1), acquire(1, "a", 0, 5, 100), read(1, 6, 7), release(1, 8, 12), read(0, 9, 10)}},
		"seen before it was settled who is first": {true, []Op{read(1, 1, 2), read(0, 3, 4), acquire(1, "a", 0, 5, 100), read(1, 6, 7)}},
		"seen, and then an older one is granted":  {false, []Op{read(5, 1, 2), acquire(3, "a", 3, 5, 100), acquire(5, "b", 0, 200, 300)}},
		"read before the client was told":         {true, []Op{acquire(1, "a", 0, 5, 100), read(1, 2, 3), release(1, 8, 12)}},
		"read after the expiry":                   {true, []Op{acquire(1, "a", 0, 5, 50), read(1, 60, 61), read(0, 62, 63)}},
		"read of what no client knows":            {true, []Op{acquire(1, "a", 0, 1, 100), release(1, 5, 6), read(2, 7, 8)}},
		"waiter released":                         {true, []Op{acquire(1, "a", 0, 1, 100), release(3, 5, 6), release(1, 7, 8), acquire(4, "d", 0, 9, 100)}},
		"told too late to rely on":                {true, []Op{acquire(1, "a", 0, 50, 40), acquire(2, "b", 0, 45, 100)}},
		"double grant":                            {false, []Op{acquire(1, "a", 0, 1, 100), acquire(2, "b", 0, 3, 100), release(1, 5, 6), release(2, 7, 8)}},
		"double grant, none released":             {false, []Op{acquire(1, "a", 0, 1, 100), acquire(2, "b", 0, 3, 100)}},
		"granted before validity ended":           {false, []Op{acquire(1, "a", 0, 1, 100), acquire(2, "b", 0, 60, 200)}},
		"granted in spite of a renewal":           {false, []Op{acquire(1, "a", 0, 1, 50), {Kind: Renew, Token: 1, Owner: "a", Call: 40, Return: 41, Valid: 90}, acquire(2, "b", 0, 60, 150)}},
		"token goes back":                         {false, []Op{acquire(2, "a", 0, 1, 100), release(2, 5, 6), acquire(1, "b", 0, 7, 100), release(1, 8, 9)}},
		"one token for two owners":                {false, []Op{acquire(1, "a", 0, 1, 100), acquire(1, "b", 0, 3, 100), release(1, 5, 6)}},
		"released, yet missed":                    {false, []Op{acquire(1, "a", 0, 1, 100), {Kind: Missed, Token: 1, Call: 2, Return: 3}, release(1, 5, 6)}},
		"read of a released token":                {false, []Op{acquire(1, "a", 0, 1, 100), release(1, 5, 6), read(1, 7, 8)}},
		"read as free while valid":                {false, []Op{acquire(1, "a", 0, 1, 100), read(0, 7, 8)}},
		"read of the one before":                  {false, []Op{acquire(1, "a", 0, 1, 50), acquire(2, "b", 0, 60, 100), read(1, 70, 71)}},
		"read of nobody's token while held":       {false, []Op{acquire(1, "a", 0, 1, 100), read(2, 10, 11)}},
		"read of nobody's token that is older":    {false, []Op{acquire(5, "a", 0, 1, 100), release(5, 5, 6), read(3, 10, 11)}},
		"grant of a token older than one read":    {false, []Op{read(5, 1, 2), acquire(3, "a", 5, 6, 100)}},
		"renewed after its end":                   {false, []Op{acquire(1, "a", 0, 1, 100), release(1, 5, 6), {Kind: Renew, Token: 1, Owner: "a", Call: 9, Return: 10, Valid: 100}}},
		"released twice":                          {false, []Op{acquire(1, "a", 0, 1, 100), release(1, 2, 3), acquire(2, "b", 0, 5, 100), release(1, 6, 7)}},
		"granted again after its end":             {false, []Op{acquire(1, "a", 0, 1, 100), release(1, 2, 3), acquire(1, "a", 10, 11, 100), acquire(2, "b", 0, 200, 300)}},
	} {
		t.Run(name, func(t *testing.T) {
			judge(t, New(), test.ok, test.ops)
		})
	}
}

func TestHistory_CheckOfLossy(t *testing.T) {
	for name, test := range map[string]struct {
		ok  bool
		ops []Op
	}{
		"released twice":          {true, []Op{acquire(1, "a", 0, 1, 100), release(1, 2, 3), acquire(2, "b", 0, 5, 100), release(1, 6, 7)}},
		"released after its end":  {true, []Op{acquire(1, "a", 0, 1, 50), acquire(2, "b", 0, 60, 100), release(1, 70, 80)}},
		"released, yet it holds":  {false, []Op{acquire(1, "a", 0, 1, 100), release(1, 2, 3), read(1, 5, 6)}},
		"released, then a second": {false, []Op{acquire(1, "a", 0, 1, 100), release(1, 2, 3), acquire(2, "b", 0, 5, 100), acquire(3, "c", 0, 6, 100)}},
	} {
		t.Run(name, func(t *testing.T) {
			h := New()
			h.Lossy = true
			judge(t, h, test.ok, test.ops)
		})
	}
}

func judge(t *testing.T, h *History, ok bool, ops []Op) {
	t.Helper()
	for i, o := range ops {
		o.Client = i
		o.Call, o.Return, o.Valid = o.Call*ms, o.Return*ms, o.Valid*ms
		h.Add(o)
	}
	if errs := h.Check(time.Minute); (len(errs) == 0) != ok {
		t.Errorf("Check = %v, want ok %v", errs, ok)
	}
}
