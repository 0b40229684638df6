package etcdv2_test

import (
	"testing"

	"github.com/etcd-modules/modhost/sdk/store"
	"github.com/etcd-modules/modhost/sdk/store/etcdv2"
	"github.com/etcd-modules/modhost/sdk/store/storetest"
)

func TestStore_Tree(t *testing.T) {
	storetest.RunTree(t, func(t *testing.T) store.Tree {
		return open(t, etcdv2.Config{Endpoints: []string{endpoint}, Prefix: newPrefix(), AnyKey: true})
	})
}
