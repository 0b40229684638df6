package etcdv2_test

import (
	"context"
	"fmt"
	"time"

	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
)

func ExampleNew() {
	s, err := etcdv2.New(etcdv2.Config{Endpoints: []string{"http://127.0.0.1:2379"}, Prefix: "/_mod/lock"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	e, err := s.Create(context.Background(), "q/customer1", "a value that nobody else writes", time.Minute)
	fmt.Println(e.Created, err)
}
