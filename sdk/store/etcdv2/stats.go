package etcdv2

import (
	"time"

	"github.com/etcd-modules/modhost/sdk/store"
)

// storeAnswer is [store.StoreStats] as stats/store spells it.
type storeAnswer struct {
	GetSuccess              uint64 `json:"getsSuccess"`
	GetFail                 uint64 `json:"getsFail"`
	SetSuccess              uint64 `json:"setsSuccess"`
	SetFail                 uint64 `json:"setsFail"`
	CreateSuccess           uint64 `json:"createSuccess"`
	CreateFail              uint64 `json:"createFail"`
	UpdateSuccess           uint64 `json:"updateSuccess"`
	UpdateFail              uint64 `json:"updateFail"`
	DeleteSuccess           uint64 `json:"deleteSuccess"`
	DeleteFail              uint64 `json:"deleteFail"`
	CompareAndSwapSuccess   uint64 `json:"compareAndSwapSuccess"`
	CompareAndSwapFail      uint64 `json:"compareAndSwapFail"`
	CompareAndDeleteSuccess uint64 `json:"compareAndDeleteSuccess"`
	CompareAndDeleteFail    uint64 `json:"compareAndDeleteFail"`
	Expired                 uint64 `json:"expireCount"`
	Watchers                uint64 `json:"watchers"`
}

// leaderAnswer is that of stats/leader, with times in milliseconds.
type leaderAnswer struct {
	Followers map[string]struct {
		Latency struct {
			Current, Average, StandardDeviation, Minimum, Maximum float64
		}
		Counts struct{ Success, Fail uint64 }
	}
}

func (a leaderAnswer) stats() map[string]store.PeerStats {
	peers := make(map[string]store.PeerStats)
	for id, f := range a.Followers {
		p := store.PeerStats{Successes: f.Counts.Success, Failures: f.Counts.Fail}
		if p.Successes > 0 { // else the minimum is what no message takes
			l := f.Latency
			p.Current, p.Average, p.StdDev = millis(l.Current), millis(l.Average), millis(l.StandardDeviation)
			p.Min, p.Max = millis(l.Minimum), millis(l.Maximum)
		}
		peers[id] = p
	}
	return peers
}

func millis(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
