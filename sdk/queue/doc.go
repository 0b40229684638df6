// Package queue is the one fair queue behind the lock and the leader module.
//
// A lock is a directory of the store, its line; an entry of the line is the
// place of one owner. Entries are ordered by the revision of their creation,
// which is also the index that the owner is told and its fencing token. The
// oldest entry is the first; it holds the lock when its state is held.
//
// The promise: a grant was true at the store when it was decided. What it
// rests on, and what goes wrong without each:
//
//  1. One entry per owner, named by its value (or its request when it has
//     none) and made by one conditional write, so that equal values can't
//     queue twice and a lost reply is recognised by its nonce.
//  2. A waiting entry has no TTL and names the sessions, one per process, that
//     wait on it, so it can't expire under a waiter, and goes when the last
//     one leaves. An entry is created held only on a line that looked free; of
//     two such creations that race, the later one is converted to waiting, by
//     its creator: to everybody else it may be a grant that was told already.
//     If the creator dies before it does, that place ends with its TTL.
//  3. Nobody can enter ahead of an existing creation, so being first is stable
//     and may be learnt from an old view. Holding is not: a waiter becomes
//     holder only by a conditional write on its own entry, waiting to held,
//     which also starts the TTL. A process that was paused fails there. While a
//     write of its own may still change the entry, another one comes before the
//     answer. Every write differs, so that none is taken for another.
//  4. No grant rests on a local clock. A clock only takes grants away: too
//     little of the TTL left when the answer is due means renew, or give up.
//  5. A session is dead when it was missed for a whole session TTL of
//     uninterrupted contact with the store; entries that only dead sessions
//     wait on are removed in exactly the state that was judged. One that has
//     handed its requests over leaves a word for a minute that it waits no more.
//  6. After a crash the successor clears what its predecessor left waiting.
//     Held entries are nobody's to clear: they live by their TTL. Only a create
//     of one's own whose outcome stayed unknown, and for which nobody waits any
//     more, is removed if it takes effect within ten minutes, in the very state
//     it was sent in.
//     A request is bound to an entry by a write or read that began after it had
//     come: what became of the entry before is not told to it.
//  7. A listing older than what was already seen is refused.
//
// Somebody who stands in no line can look on by a [View], also at the lines of
// another module. Its [View.Force] removes a place as Release does, by its index,
// unless it has become a holder or a waiter since it was looked at,
// and leaves a word for other views before it does. When a place was made, when
// it was granted and whether it was renewed stand in its entry for that, and
// nothing rests on it.
//
// What it does can be counted: see [Observer], [Queue.Waiting] and
// [Queue.Census]. Package sdk/queuemetrics makes metrics of it.
//
// Entries of a lock with local waiters are mirrored by one watch per lock, and
// a change wakes only whom it concerns. A lock without waiters costs a read
// and a write to obtain and a write to release.
package queue
