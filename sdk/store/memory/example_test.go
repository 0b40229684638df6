package memory_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/memory"
)

func ExampleNew() {
	ctx := context.Background()
	s := memory.New().Sub("lock")
	e, _ := s.Create(ctx, "q/customer1", "first", time.Minute)
	_, err := s.Create(ctx, "q/customer1", "second", time.Minute)
	fmt.Println(e.Created, e.TTL, errors.Is(err, store.ErrExists))
	// Output: 1 1m0s true
}

func ExampleStore_SetHook() {
	s := memory.New()
	s.SetHook(func(op memory.Op, key string) memory.Fault {
		return memory.Fault{Lose: store.ErrUnavailable}
	})
	_, err := s.Put(context.Background(), "x", "applied, but not answered", 0)
	fmt.Println(err)
	// Output: put "x": store unavailable
}
