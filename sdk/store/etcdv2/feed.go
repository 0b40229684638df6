package etcdv2

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v2"

	"github.com/etcd-modules/modhost/sdk/store"
)

const (
	// maxQueue is how many changes a feed reads ahead of who takes them.
	maxQueue = 10_000

	// overflow is how many changes etcd keeps for a stream that is not read as
	// fast as they come. With one more it forgets the stream without a word.
	overflow = 100
)

// A feed is one request for changes: a stream, or a long poll, which ends with
// its first change.
type feed struct {
	at    store.Revision // of etcd when it began: later changes come live
	since time.Time
	end   context.CancelFunc
	done  chan struct{} // closed when the reader has ended
	wake  chan<- struct{}

	mu    sync.Mutex // guards the rest
	room  sync.Cond  // of mu: there is room in queue, or the feed is over
	queue []arrival
	count int       // of all that came
	last  time.Time // when the latest one came
	over  bool      // nobody takes any more
	err   error     // why it ended: io.EOF = in an orderly way
}

// An arrival is a change and when it came.
type arrival struct {
	*client.Response
	at time.Time
}

// feed begins one for path; from is the first change wanted, 0 = a stream of
// what comes. It returns when etcd says that it watches. wake is told of each
// change and of the end.
func (s *Store) feed(ctx context.Context, ep *endpoint, path string, from store.Revision, wake chan<- struct{}) (*feed, error) {
	life, end := context.WithCancel(context.Background()) // of the feed, not of the call
	stop := context.AfterFunc(ctx, end)
	query := url.Values{"wait": {"true"}, "recursive": {"true"}}
	if from > 0 {
		query.Set("waitIndex", strconv.FormatUint(uint64(from), 10))
	} else {
		query.Set("stream", "true")
	}
	resp, err := s.caller.do(life, ep.base, "/v2/keys"+path, query, "")
	if !stop() && err == nil {
		resp.Body.Close() //nolint:errcheck // not read
		err = ctx.Err()
	}
	if err != nil {
		end()
		var refused client.Error
		if errors.As(err, &refused) {
			return nil, explain(refused)
		}
		return nil, err
	}
	at, err := strconv.ParseUint(resp.Header.Get("X-Etcd-Index"), 10, 64)
	if err != nil {
		end()
		resp.Body.Close() //nolint:errcheck // not read
		return nil, errNotEtcd
	}
	s.note(at)
	f := &feed{at: store.Revision(at), since: time.Now(), end: end, done: make(chan struct{}), wake: wake}
	f.room.L = &f.mu
	go f.read(resp.Body) // until close
	return f, nil
}

func (f *feed) read(body io.ReadCloser) {
	defer close(f.done)
	defer body.Close() //nolint:errcheck // read
	d := json.NewDecoder(bufio.NewReaderSize(body, 64<<10))
	for {
		resp := new(client.Response)
		err := d.Decode(resp)
		if err == nil && resp.Node == nil {
			err = errNotEtcd
		}
		f.mu.Lock()
		for len(f.queue) >= maxQueue && !f.over {
			f.room.Wait()
		}
		if err != nil || f.over {
			f.err = err
			f.mu.Unlock()
			break
		}
		f.last = time.Now()
		f.queue = append(f.queue, arrival{resp, f.last})
		f.count++
		f.mu.Unlock()
		f.tell()
	}
	f.tell()
}

func (f *feed) tell() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take returns what has come, and why nothing more will: nil = more may. A
// change that came before the end is returned before it.
func (f *feed) take() (queue []arrival, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	queue, f.queue = f.queue, nil
	f.room.Signal()
	if len(queue) == 0 {
		err = f.err
	}
	return queue, err
}

// mayOverflow tells whether so many changes have come that etcd can have
// forgotten the stream; suspect whether for a moment none has come since, which
// would have shown that it has not.
func (f *feed) mayOverflow() (may, suspect bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	may = f.count >= overflow
	return may, may && len(f.queue) == 0 && time.Since(f.last) >= silentTime
}

// close ends the feed and waits for its reader.
func (f *feed) close() {
	if f == nil {
		return
	}
	f.end()
	f.mu.Lock()
	f.over = true
	f.room.Signal()
	f.mu.Unlock()
	<-f.done
}
