package faults

import "github.com/etcd-modules/modhost/integration/drive"

// promisePlants are faults that the tests of what the documentation promises
// must see.
var promisePlants = []plant{
	{"TestCrash_PluginKilled", "a request that waits can't go on in another process", noResuming},
	{"TestCrash_PluginKilled", "a place is cleared away although it was resumed", breaks("sdk/queue/reap.go",
		"			case q.attended(it): // resumed, and about to join\n				left = true\n			case it.rec.Anonymous && age >= graceAnonymous, age >= graceValue:",
		"			case true:")},
	{"TestCrash_PluginKilled", "every restart waits", breaks("host/supervisor/restart.go",
		"	if row == 1 {\n		return 0, false\n	}\n	delay = firstDelay\n", "	delay = 10 * firstDelay\n")},
	{"TestCrash_HostKilled", "nobody judges who is dead", breaks("sdk/queue/session.go",
		"	return time.Since(list[i].at) >= limit", "	return i < 0")},
	{"TestCrash_HostKilled", "only lines that are mirrored are looked through", breaks("sdk/queue/session.go",
		"s.suspecting() && (age >= suspectEvery || s.overdue(swept))", "false")},
	{"TestCrash_HostKilled", "a plugin outlives its host", []drive.Fault{
		{File: "host/supervisor/os_linux.go", Old: "Pdeathsig: syscall.SIGKILL", New: ""},
		{File: "sdk/plugin.go", Old: "func (p *program[C]) HostGone() { p.options.Exit() }", New: "func (p *program[C]) HostGone() {}"},
	}},
	{"TestCrash_SharedPlaceSurvives/client", "the first one that leaves takes the place away", breaks("sdk/queue/place.go",
		"	case len(others) > 0:\n		err = p.swap", "	case false:\n		err = p.swap")},
	{"TestCrash_SharedPlaceSurvives/plugin", "a request that waits can't go on in another process", noResuming},
	{"TestCrash_SharedPlaceSurvives/plugin_with_its_clients", "what an ended process has waited on is cleared, whoever else waits on it", breaks("sdk/queue/reap.go",
		"return !slices.ContainsFunc(it.rec.Sessions, func(id string) bool { return !slices.Contains(q.session.ended, id) })",
		"return slices.ContainsFunc(it.rec.Sessions, func(id string) bool { return slices.Contains(q.session.ended, id) })")},
	{"TestCrash_SharedPlaceSurvives/host", "one dead session is enough", breaks("sdk/queue/reap.go",
		"	all := true\n	for _, id := range it.rec.Sessions { // every one is asked: that is when its time starts\n		all = q.session.dead(id, it.entry.Modified) && all",
		"	all := false\n	for _, id := range it.rec.Sessions {\n		all = q.session.dead(id, it.entry.Modified) || all")},
	{"TestCrash_ThousandWaitersHangUp", "who leaves stays in the line", breaks("sdk/queue/place.go",
		"err = p.l.q.store.Delete(ctx, p.entry)", "err = nil")},
	{"TestPause_PluginStoppedPastEveryTTL", "the first in the mirror is the holder without a write", grantWithoutWrite},
	{"TestPause_PluginStoppedForGoodIsReplaced", "a process that does not answer is left alone", breaks("host/supervisor/process.go",
		"if missed == missedMost {", "if false {")},
	{"TestOutage_EtcdDownAndUp", "an outage costs waiters their places", breaks("sdk/queue/line.go",
		"			l.q.log.Debug(\"watch interrupted\",",
		"			l.q.mu.Lock()\n			for _, p := range l.places {\n				p.answer(outcome{err: err}, (*waiter).isBound)\n			}\n			l.q.mu.Unlock()\n			l.q.log.Debug(\"watch interrupted\",")},
	{"TestOutage_EtcdDownAndUp", "who holds the lock is told from memory", breaks("sdk/queue/manage.go",
		"	e, err := q.store.Get(ctx, first.Key, store.Linearizable)", "	e, err := first, error(nil)")},
	{"TestOutage_MemberCutOffFromTheOthersAnswers503", "calls of etcd have more time", breaks("sdk/store/etcdv2/ask.go",
		"const callTimeout = 4 * time.Second", "const callTimeout = 8 * time.Second")},
	{"TestOutage_MemberCutOffFromTheOthersAnswers503", "reads of a cluster are plain ones", breaks("sdk/store/etcdv2/read.go",
		"if s.single(ctx) {", "if true {")},
	{"TestOutage_LateCreateIsTakenBack", "creates that take effect late stay", breaks("sdk/queue/entry.go",
		"p.l.q.expectLate(p.l.dir, p.lost)", "_ = found")},
	{"TestOutage_SlowEtcdShortensTheValidity", "validity is counted from the answer, not from before the write", validityFromAnswer},
}
