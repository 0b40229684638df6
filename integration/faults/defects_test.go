package faults

import (
	"slices"
	"testing"

	"github.com/etcd-modules/modhost/integration/drive"
)

// A defect is one of the original modules' that this host and lock must not
// have; story shows that on a running host.
type defect struct {
	name  string // number and what went wrong
	story func(t *testing.T, h *drive.Host)
}

// defects are those of the original modules that concern host and lock.
var defects = []defect{
	{"D01_one_release_lets_one_waiter_in", d01OneRelease},
	{"D02_a_renewal_lets_nobody_in", d02Renewal},
	{"D03_a_waiter_that_leaves_lets_nobody_in", d03WaiterLeaves},
	{"D04_a_place_does_not_expire_while_its_client_waits", d04PlaceExpires},
	{"D05_a_waiters_ttl_is_not_on_the_queue", d05QueueTTL},
	{"D06_the_empty_name_is_no_lock", d06EmptyName},
	{"D07_a_shared_place_outlives_a_session_that_gives_up", d07SharedPlace},
	{"D08_an_entry_that_is_gone_is_not_first", d08GoneIsNotFirst},
	{"D09_waiting_survives_a_thousand_events", d09ManyEvents},
	{"D10_hanging_up_at_the_grant_crashes_nothing", d10HangUpAtGrant},
	{"D11_an_index_is_no_path", d11IndexIsNoPath},
	{"D12_a_name_is_no_URL", d12URLInName},
	{"D13_two_modules_share_nothing", d13ModulesShareNothing},
	{"D14_nested_names_share_nothing", d14NestedNames},
	{"D15_timeout_is_kept", d15Timeout},
	{"D16_waiting_is_not_cut_off", d16NoWriteTimeout},
	{"D17_waiting_takes_no_CPU", d17Idle},
	{"D18_a_TTL_of_a_second_takes_no_CPU", d18BriefTTL},
	{"D19_a_waiter_that_hung_up_never_holds", d19HungUpNeverHolds},
	{"D20_not_there_is_404", d20NotThere},
	{"D21_no_TTL_of_zero", d21ZeroTTL},
	{"D22_a_value_is_never_HTML", d22Script},
	{"D23_a_renewal_changes_no_value", d23Rename},
	{"D24_no_value_is_not_a_dash", d24Dash},
	{"D25_DELETE_reads_its_body", d25DeleteBody},
	{"D26_etcd_may_serve_TLS", d26TLS},
	{"D27_idle_directories_are_removed", d27IdleDirectories},
	{"D28_errors_are_called_JSON", d28ErrorType},
}

func defectNames() []string {
	var names []string
	for _, d := range defects {
		names = append(names, "TestDefects/"+d.name)
	}
	return names
}

// TestDefects shows for each defect of the original modules that it is not
// there. All stories share a host and have locks of their own.
func TestDefects(t *testing.T) {
	h := programs(t).Start(t, drive.Embedded)
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			d.story(t, h)
		})
	}
}

// defectPlants are faults that the defects' tests must see: for each story what
// makes the original's defect anew.
var defectPlants = []plant{
	{"TestDefects/D01_one_release_lets_one_waiter_in", "a release wakes all, and a waiter looks only for a holder in front of it", slices.Concat(
		breaks("sdk/queue/line.go",
			"l.wake(l.items[0].id)",
			`for _, it := range l.items {
				l.wake(it.id)
			}`),
		breaks("sdk/queue/line.go",
			"s.ahead = l.items[i], true, i",
			`s.ahead = l.items[i], true, i
			if !slices.ContainsFunc(l.items[:i], func(it item) bool { return it.rec.State == held }) {
				s.ahead = 0
			}`),
	)},
	{"TestDefects/D02_a_renewal_lets_nobody_in", "a waiter takes any event of its predecessor for its end", breaks("sdk/queue/line.go",
		"if ev.Type == store.EventPut {",
		"if ev.Type == store.EventPut && (!found || l.items[i].rec.State == waiting) {")},
	{"TestDefects/D03_a_waiter_that_leaves_lets_nobody_in", "who stands in front of a waiter that leaves counts as gone, too", slices.Concat(
		breaks("sdk/queue/line.go",
			"slices.Delete(l.items, i, i+1)",
			"slices.Delete(l.items, 0, i+1)"),
		breaks("sdk/queue/line.go",
			"if i == 0 && len(l.items) > 0 {",
			"if len(l.items) > 0 {"),
	)},
	{"TestDefects/D04_a_place_does_not_expire_while_its_client_waits", "a waiting entry is created with its TTL", breaks("sdk/queue/obtain.go",
		"[]string{p.l.q.session.id}), 0",
		"[]string{p.l.q.session.id}), d.ttl")},
	{"TestDefects/D05_a_waiters_ttl_is_not_on_the_queue", "who begins to wait puts its TTL on all that are in the line", breaks("sdk/queue/obtain.go",
		"		next, life = p.rec.with(waiting,",
		`		if line, err := p.l.q.store.List(ctx, p.l.dir, store.Local); err == nil {
			for _, e := range line.Entries {
				p.l.q.store.Renew(ctx, e, d.ttl)
			}
		}
		next, life = p.rec.with(waiting,`)},
	{"TestDefects/D06_the_empty_name_is_no_lock", "the name is not asked for", slices.Concat(
		breaks("sdk/queuehttp/parameters.go",
			`case !ok || !slash || err == nil && name == "":`,
			`case !ok || !slash && name != "":`),
		breaks("sdk/queue/record.go",
			`linesDir + "/" + encodeSegment(name)`,
			`strings.TrimSuffix(linesDir+"/"+encodeSegment(name), "/")`),
	)},
	{"TestDefects/D07_a_shared_place_outlives_a_session_that_gives_up", "a request that leaves removes the entry", breaks("sdk/queue/queue.go",
		`		return false, false
`,
		`		go p.l.q.store.Delete(p.l.q.ctx, p.entry)
		return false, false
`)},
	{"TestDefects/D07_a_shared_place_outlives_a_session_that_gives_up", "a process that leaves removes the entry", breaks("sdk/queue/place.go",
		"others, s := p.others(), p.l.q.session",
		"others, s := []string(nil), p.l.q.session")},
	{"TestDefects/D08_an_entry_that_is_gone_is_not_first", "who is no longer in the line is told that it holds the lock", breaks("sdk/queue/obtain.go",
		"if p.joined && p.finish(outcome{err: ErrRemoved}, (*waiter).isBound) {",
		"if p.joined && p.finish(outcome{grant: &Grant{Index: p.entry.Created, Value: p.cur.Value, TTL: d.ttl, start: time.Now()}}, (*waiter).isBound) {")},
	{"TestDefects/D09_waiting_survives_a_thousand_events", "the watch begins at the oldest entry, and what it has missed is an error", slices.Concat(
		breaks("sdk/queue/line.go",
			"l.q.store.Watch(l.dir, l.rev)",
			"l.q.store.Watch(l.dir, l.items[0].entry.Created)"),
		breaks("sdk/queue/line.go",
			`		case ctx.Err() != nil, errors.Is(err, store.ErrCompacted):
`,
			`		case errors.Is(err, store.ErrCompacted):
			l.q.mu.Lock()
			for _, p := range l.places {
				p.answer(outcome{err: err}, (*waiter).isBound)
			}
			l.q.mu.Unlock()
			return
		case ctx.Err() != nil:
`),
	)},
	{"TestDefects/D10_hanging_up_at_the_grant_crashes_nothing", "the channel of who has left is closed, and it is told all the same", breaks("sdk/queue/queue.go",
		`	delete(p.waiters, w)
	if w.try {
		p.tries--`,
		`	close(w.answer)
	if w.try {
		p.tries--`)},
	{"TestDefects/D10_hanging_up_at_the_grant_crashes_nothing", "a grant that reached nobody stays", breaks("sdk/queue/grant.go",
		"undo := d.pending == 0 && ",
		"undo := false && ")},
	{"TestDefects/D11_an_index_is_no_path", "an index that is no number is a path", slices.Concat(
		breaks("plugins/lock/handlers.go",
			`		return queue.Target{}, sdk.NewError(sdk.CodeIndexInvalid, fmt.Sprintf("index is %.100q; give the number that the grant was answered with", index))`,
			`		return queue.Target{Value: "/" + index}, nil`),
		breaks("sdk/queue/record.go",
			`	kind, owner := "v", value
`,
			`	if path, ok := strings.CutPrefix(value, "/"); ok {
		return path
	}
	kind, owner := "v", value
`),
		breaks("sdk/store/check.go",
			"r == '-', r == '~':",
			"r == '-', r == '~', r == '.':"),
	)},
	{"TestDefects/D12_a_name_is_no_URL", "a question mark cuts the name off", breaks("sdk/queuehttp/parameters.go",
		`name, err := url.PathUnescape(raw)
`,
		`name, err := url.PathUnescape(raw)
	name, _, _ = strings.Cut(name, "?")
`)},
	{"TestDefects/D12_a_name_is_no_URL", "the name is decoded twice", breaks("sdk/queuehttp/parameters.go",
		`name, err := url.PathUnescape(raw)
`,
		`name, err := url.PathUnescape(raw)
	if err == nil {
		name, err = url.PathUnescape(name)
	}
`)},
	{"TestDefects/D13_two_modules_share_nothing", "all modules have one prefix", breaks("host/specs.go",
		`cfg.Etcd.Prefix + "/" + m.Name`,
		`cfg.Etcd.Prefix + "/lock"`)},
	{"TestDefects/D14_nested_names_share_nothing", "a slash in a name is one in the key", breaks("sdk/queue/record.go",
		"|| c == '-' {",
		"|| c == '-' || c == '/' {")},
	{"TestDefects/D15_timeout_is_kept", "timeout is ignored", breaks("sdk/queuehttp/parameters.go",
		`if !p.Has("timeout") {`,
		`if !p.Has("timeout") || true {`)},
	{"TestDefects/D16_waiting_is_not_cut_off", "the server has a write timeout", breaks("host/server/run.go",
		`idleTime,
`,
		`idleTime,
		WriteTimeout: time.Second,
`)},
	{"TestDefects/D17_waiting_takes_no_CPU", "a place that waits is never at rest", breaks("sdk/queue/place.go",
		"if p.rest() {",
		"if !d.any && p.rest() {")},
	{"TestDefects/D18_a_TTL_of_a_second_takes_no_CPU", "an entry with a brief TTL is written again and again", breaks("sdk/queue/obtain.go",
		", ttl != p.cur.ttl():",
		", ttl != p.cur.ttl(), ttl < 2*time.Second:")},
	{"TestDefects/D19_a_waiter_that_hung_up_never_holds", "nobody tells the module that its client has gone", slices.Concat(
		breaks("sdk/wire/client.go",
			"q.unhook = context.AfterFunc(q.r.Context(), cancel)",
			"q.unhook = func() bool { return true }"),
		breaks("sdk/wire/client.go",
			`	err := q.r.Context().Err()
	if err == nil {
		err = q.broken`,
			`	err := q.broken
	if err == nil {
		err = q.broken`),
	)},
	{"TestDefects/D20_not_there_is_404", "not in the line is an internal error", breaks("sdk/queuehttp/fail.go",
		"sdk.NewError(sdk.CodeKeyNotFound, err.Error())",
		"sdk.NewError(sdk.CodeInternal, err.Error())")},
	{"TestDefects/D21_no_TTL_of_zero", "a TTL of zero is one", breaks("sdk/queuehttp/parameters.go",
		`p.seconds("ttl", 1,`,
		`p.seconds("ttl", 0,`)},
	{"TestDefects/D22_a_value_is_never_HTML", "the type of an answer is guessed", breaks("sdk/queuehttp/answers.go",
		`"text/plain; charset=utf-8", []byte(text)`,
		"http.DetectContentType([]byte(text)), []byte(text)")},
	{"TestDefects/D22_a_value_is_never_HTML", "browsers may guess", breaks("sdk/queuehttp/answers.go",
		`	h.Set("X-Content-Type-Options", "nosniff")
`,
		"")},
	{"TestDefects/D23_a_renewal_changes_no_value", "index and value are both taken, and the value written", slices.Concat(
		breaks("plugins/lock/handlers.go",
			`case index != "" && value != "":`,
			"case false:"),
		breaks("plugins/lock/handlers.go",
			`case index == "":`,
			`case value != "" && index == "":`),
		breaks("plugins/lock/handlers.go",
			"return queue.Target{Index: store.Revision(n)}, nil",
			"return queue.Target{Index: store.Revision(n), Value: value}, nil"),
		breaks("sdk/queue/manage.go",
			"e, err := q.store.Swap(ctx, it.entry, next.encode(), ttl)",
			`next.Value = t.Value
		e, err := q.store.Swap(ctx, it.entry, next.encode(), ttl)`),
	)},
	{"TestDefects/D24_no_value_is_not_a_dash", "no value is stored as a dash", breaks("sdk/queuehttp/desk.go",
		`	x := sdk.RequestOf(r)
	if x == nil {`,
		`	if q.Value == "" {
		q.Value = "-"
	}
	x := sdk.RequestOf(r)
	if x == nil {`)},
	{"TestDefects/D25_DELETE_reads_its_body", "the body of DELETE is not read", breaks("sdk/queuehttp/parameters.go",
		`	text, err := io.ReadAll(r.Body)
`,
		`	if r.Method == http.MethodDelete {
		return nil, nil
	}
	text, err := io.ReadAll(r.Body)
`)},
	{"TestDefects/D26_etcd_may_serve_TLS", "the plugin calls etcd without the authority", breaks("sdk/serve.go",
		`		CAFile:    c.GetCaFile(),
`,
		"")},
	{"TestDefects/D26_etcd_may_serve_TLS", "the plugin calls etcd without its certificate", breaks("sdk/serve.go",
		`		CertFile:  c.GetCertFile(),
		KeyFile:   c.GetKeyFile(),
`,
		"")},
	{"TestDefects/D27_idle_directories_are_removed", "no directory counts as empty", slices.Concat(
		[]drive.Fault{hasty},
		breaks("sdk/store/etcdv2/prune.go",
			"if n.Dir && len(n.Nodes) == 0 {",
			"if !n.Dir && len(n.Nodes) == 0 {"),
	)},
	{"TestDefects/D28_errors_are_called_JSON", "errors are called text", breaks("sdk/wire/errors.go",
		`h.Set("Content-Type", "application/json")`,
		`h.Set("Content-Type", "text/plain; charset=utf-8")`)},
}
