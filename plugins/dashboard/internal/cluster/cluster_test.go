package cluster

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/plugins/dashboard/internal/live"
	"github.com/etcd-modules/modhost/sdk/store"
)

// three are members all of whom are well; the first one leads.
func three() store.Condition {
	c := store.Condition{ID: "c", Leader: "a", At: time.Unix(100, 0)}
	for _, id := range []string{"a", "b", "c"} {
		m := store.MemberCondition{Member: store.Member{ID: id, Name: "m" + id}, Reachable: true, Healthy: true, Role: store.RoleFollower,
			Version: "3.5.1", Term: 2, Index: 10000, Applied: 10000, Peer: &store.PeerStats{Current: time.Millisecond}}
		if id == "a" {
			m.Role, m.Peer = store.RoleLeader, nil
		}
		c.Members = append(c.Members, m)
	}
	return c
}

func TestJudge(t *testing.T) {
	type change func(c *store.Condition)
	type want struct {
		level Level  // of member b
		kinds []Kind // its findings
		whole []Kind
	}
	for name, tt := range map[string]struct {
		change
		want
	}{
		"all well": {func(c *store.Condition) {}, want{OK, nil, nil}},
		"down": {func(c *store.Condition) {
			c.Members[1] = store.MemberCondition{Member: c.Members[1].Member, Reason: "no answer"}
		}, want{Bad, []Kind{Unreachable}, []Kind{Thin}}},
		"sluggish":          {func(c *store.Condition) { c.Members[1].Peer.Current = 50 * time.Millisecond }, want{Warn, []Kind{Slow}, nil}},
		"very slow":         {func(c *store.Condition) { c.Members[1].Peer.Current = 200 * time.Millisecond }, want{Bad, []Kind{Slow}, nil}},
		"just quick enough": {func(c *store.Condition) { c.Members[1].Peer.Current = 49 * time.Millisecond }, want{OK, nil, nil}},
		"behind":            {func(c *store.Condition) { c.Members[1].Applied -= 1000 }, want{Warn, []Kind{Behind}, nil}},
		"far behind":        {func(c *store.Condition) { c.Members[1].Applied -= 5000 }, want{Bad, []Kind{Behind}, nil}},
		"behind and slow": {func(c *store.Condition) {
			c.Members[1].Applied -= 5000
			c.Members[1].Peer.Current = 60 * time.Millisecond
		}, want{Bad, []Kind{Behind, Slow}, nil}},
		"alarm": {func(c *store.Condition) {
			c.Alarms = []store.Alarm{{Member: "b", Type: "NOSPACE"}}
			c.Members[1].Healthy = false
		}, want{Bad, []Kind{Alarmed}, nil}},
		"unhealthy": {func(c *store.Condition) { c.Members[1].Healthy = false }, want{Bad, []Kind{Unhealthy}, nil}},
		"no leader": {func(c *store.Condition) {
			c.Leader = ""
			c.Members[1].Role = store.RoleCandidate
			c.Members[1].Healthy = false
		}, want{Bad, []Kind{Leaderless}, []Kind{NoLeader}}},
		"another's is newer": {func(c *store.Condition) { c.Members[1].Version = "3.5.2" }, want{OK, nil, []Kind{Versions}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := three()
			tt.change(&c)
			verdicts, whole := Judge(c)
			if len(verdicts) != 3 || verdicts[1].Level != tt.level || !reflect.DeepEqual(kinds(verdicts[1].Findings), tt.kinds) || !reflect.DeepEqual(kinds(whole), tt.whole) {
				t.Errorf("Judge = %+v, %+v; want %v", verdicts, whole, tt.want)
			}
		})
	}
}

func kinds(list []Finding) (k []Kind) {
	for _, f := range list {
		k = append(k, f.Kind)
	}
	return k
}

// inspector answers with what answer returns.
type inspector struct {
	store.Inspector

	mu     sync.Mutex // guards what follows
	asked  int
	answer func() (store.Condition, error)
}

func (i *inspector) Inspect(context.Context) (store.Condition, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	return i.answer()
}

// count returns how often it was asked since the last call.
func (i *inspector) count() int {
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.asked
	i.asked = 0
	return n
}

func (i *inspector) change(answer func() (store.Condition, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

func watch(t *testing.T, f func(i *inspector, w *Watch, streams *live.Var[int64])) {
	synctest.Test(t, func(t *testing.T) {
		var streams live.Var[int64]
		i := &inspector{answer: func() (store.Condition, error) {
			c := three()
			c.At = time.Now()
			return c, nil
		}}
		w := &Watch{Inspector: i, Streams: streams.Get}
		ctx, end := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			w.Run(ctx)
		}()
		defer func() {
			end()
			<-over
		}()
		f(i, w, &streams)
	})
}

func TestWatch_AsksSeldomWhenNobodyLooks(t *testing.T) {
	watch(t, func(i *inspector, w *Watch, streams *live.Var[int64]) {
		time.Sleep(time.Hour)
		if n := i.count(); n < 350 || n > 361 {
			t.Errorf("asked %d times in an hour, want one in 10 s", n)
		}
		streams.Set(1)
		time.Sleep(time.Minute)
		if n := i.count(); n < 30 || n > 32 {
			t.Errorf("asked %d times in a minute that somebody looked, want one in 2 s", n)
		}
	})
}

func TestWatch_OldStaysWhenNothingIsTold(t *testing.T) {
	watch(t, func(i *inspector, w *Watch, streams *live.Var[int64]) {
		time.Sleep(time.Minute)
		i.change(func() (store.Condition, error) { return store.Condition{}, errors.New("oh") })
		time.Sleep(time.Minute)
		synctest.Wait()
		if s, _ := w.State(); s.Err == nil || len(s.Condition.Members) != 3 || s.Writes != -1 {
			t.Errorf("state = %+v, want the old one with an error", s)
		}
	})
}

func TestWatch_NobodyAnswers(t *testing.T) {
	watch(t, func(i *inspector, w *Watch, streams *live.Var[int64]) {
		time.Sleep(time.Minute)
		i.change(func() (store.Condition, error) {
			return store.Condition{}, fmt.Errorf("%w: oh", store.ErrUnavailable)
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		s, _ := w.State()
		verdicts, whole := Judge(s.Condition)
		if s.Err != nil || len(verdicts) != 3 || s.Condition.ID != "c" || s.Condition.Members[0].Name != "ma" || !reflect.DeepEqual(kinds(whole), []Kind{NoLeader}) {
			t.Fatalf("state = %+v, want three members without a leader", s)
		}
		for _, v := range verdicts {
			if v.Level != Bad || !reflect.DeepEqual(kinds(v.Findings), []Kind{Unreachable}) {
				t.Errorf("verdict = %+v, want that it does not answer", v)
			}
		}
	})
}

func TestWrites(t *testing.T) {
	old, now := three(), three()
	now.At = old.At.Add(2 * time.Second)
	for i := range now.Members {
		old.Members[i].Store = store.StoreStats{SetSuccess: 10, GetSuccess: 99}
		now.Members[i].Store = store.StoreStats{SetSuccess: 12, CreateSuccess: 1, CompareAndSwapSuccess: 1, Expired: 2, GetSuccess: 999}
	}
	if n := writes(old, now); n != 3 {
		t.Errorf("writes = %v, want 3 a second", n)
	}
	now.Members[0].Store.SetSuccess = 0 // it was started between
	now.Members[0].Store.CreateSuccess = 0
	now.Members[0].Store.CompareAndSwapSuccess = 0
	if n := writes(old, now); n != 3 {
		t.Errorf("writes = %v after one was restarted, want 3 by another", n)
	}
	now.Members = nil
	if n := writes(old, now); n != -1 {
		t.Errorf("writes = %v of nobody, want that it is not known", n)
	}
}
