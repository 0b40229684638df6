package keys

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func wantConflict(t *testing.T, what string, err error, value string) {
	t.Helper()
	var c *ConflictError
	if !errors.As(err, &c) {
		t.Errorf("%s: %v, want a conflict", what, err)
	} else if value == "" && c.Current != nil || value != "" && (c.Current == nil || c.Current.Value != value) {
		t.Errorf("%s: current %+v, want value %q", what, c.Current, value)
	}
}

// Saving keeps what is left of the TTL, however often it is done.
func TestSave_KeepsTheTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		e := put(t, mine, "a", "0", 100*time.Second)
		end := e.Expires
		for range 20 {
			time.Sleep(3300 * time.Millisecond)
			n, err := x.Save(t.Context(), "a", "1", e.Modified, TTL{Keep: true})
			if err != nil {
				t.Fatal(err)
			}
			e.Modified = n.Modified
			if off := time.UnixMilli(n.Expires).Sub(end).Abs(); off > time.Second {
				t.Errorf("the end is off by %v", off)
			}
		}
		for _, ttl := range []TTL{{Seconds: 7}, {}} {
			n, err := x.Save(t.Context(), "a", "1", e.Modified, ttl)
			if err != nil || n.TTL != ttl.Seconds {
				t.Errorf("saved with %+v: %+v, %v", ttl, n, err)
			}
			e.Modified = n.Modified
		}
		n, err := x.Save(t.Context(), "a", "2", e.Modified, TTL{Keep: true})
		if err != nil || n.Expires != 0 || n.Value != "2" {
			t.Errorf("kept for ever: %+v, %v", n, err)
		}
	})
}

func TestWrite_Conflicts(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		ctx := t.Context()
		e := put(t, mine, "a", "1", 0)
		put(t, mine, "a", "2", 0)
		_, err := x.Save(ctx, "a", "mine", e.Modified, TTL{})
		wantConflict(t, "save", err, "2")
		wantConflict(t, "delete", x.Delete(ctx, "a", e.Modified), "2")
		_, err = x.Create(ctx, "a", "mine", TTL{})
		wantConflict(t, "create", err, "2")
		_, err = x.Save(ctx, "b", "mine", e.Modified, TTL{})
		wantConflict(t, "save nothing", err, "")
		_, err = x.MakeDir(ctx, "a", TTL{})
		wantConflict(t, "mkdir", err, "2")
		d := mkdir(t, mine, "d", 0)
		put(t, mine, "d/_hidden", "1", 0)
		var c *ConflictError
		if err := x.Delete(ctx, "d", d.Modified); !errors.As(err, &c) || c.Current == nil || !c.Current.Dir {
			t.Errorf("delete of a directory with something in it: %v", err)
		}
		_, err = x.Create(ctx, "a/b", "below an entry", TTL{})
		wantErr(t, "create below an entry", err, store.ErrInvalid)

		// Changed between our look and our write.
		under.SetHook(func(op memory.Op, key string) memory.Fault {
			if op == memory.OpSwap || op == memory.OpDelete {
				put(t, mine, "a", "3", 0)
			}
			return memory.Fault{}
		})
		now, err := x.Node(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		_, err = x.Save(ctx, "a", "mine", now.Modified, TTL{})
		wantConflict(t, "save, late", err, "3")
		now, err = x.Node(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		wantConflict(t, "delete, late", x.Delete(ctx, "a", now.Modified), "3")
	})
}

func TestWrite_Done(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		ctx := t.Context()
		n, err := x.Create(ctx, "a/b", "1", TTL{Seconds: 9})
		if err != nil || n.TTL != 9 || n.Value != "1" {
			t.Errorf("create: %+v %v", n, err)
		}
		if err := x.Delete(ctx, "a/b", n.Modified); err != nil {
			t.Error(err)
		}
		d, err := x.Node(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Delete(ctx, "a", d.Modified); err != nil {
			t.Error(err)
		}
		n, err = x.MakeDir(ctx, "a/d", TTL{Seconds: 9})
		if err != nil || n.TTL != 9 || !n.Dir {
			t.Errorf("mkdir: %+v %v", n, err)
		}
		for what, err := range map[string]error{
			"the root": x.Delete(ctx, "", 0),
			"a damaged value": func() error {
				_, err := x.Create(ctx, "x", "a\ufffd", TTL{})
				return err
			}(),
			"a TTL too long": func() error {
				_, err := x.Create(ctx, "x", "a", TTL{Seconds: 1 << 40})
				return err
			}(),
		} {
			wantErr(t, what, err, store.ErrInvalid)
		}
	})
}

// Of an order whose answer was lost nobody says that it was carried out, or not.
func TestWrite_LostAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, x *Index, under, mine *memory.Store) {
		e := put(t, mine, "a", "1", 0)
		away := memory.Fault{Lose: store.ErrUnavailable}
		under.SetHook(func(op memory.Op, _ string) memory.Fault {
			switch op {
			case memory.OpSwap, memory.OpCreate, memory.OpDelete, memory.OpMakeDir:
				return away
			}
			return memory.Fault{}
		})
		var unknown *UnknownError
		if _, err := x.Save(t.Context(), "a", "2", e.Modified, TTL{}); !errors.As(err, &unknown) {
			t.Errorf("save: %v", err)
		}
		if _, err := x.Create(t.Context(), "b", "2", TTL{}); !errors.As(err, &unknown) {
			t.Errorf("create: %v", err)
		}
		if _, err := x.MakeDir(t.Context(), "d", TTL{}); !errors.As(err, &unknown) {
			t.Errorf("mkdir: %v", err)
		}
		now, err := x.Node(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Delete(t.Context(), "a", now.Modified); !errors.As(err, &unknown) {
			t.Errorf("delete: %v", err)
		}
		// What fails before it is sent was not carried out.
		under.SetHook(func(memory.Op, string) memory.Fault { return memory.Fault{Refuse: store.ErrUnavailable} })
		if _, err := x.Save(context.WithoutCancel(t.Context()), "b", "3", now.Modified, TTL{}); errors.As(err, &unknown) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("save, not sent: %v", err)
		}
	})
}
