package store

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// What every driver takes. A key of MaxKey bytes and a prefix of 256 still fit
// into the 4096 bytes that etcd accepts as the request line of its v2 API.
const (
	MaxKey   = 3584    // bytes of a key, slashes included
	MaxValue = 1 << 20 // bytes of a value
)

// CheckKey returns ErrInvalid with the reason unless key is one that [Store]
// allows. Drivers call it before they send anything.
func CheckKey(key string) error {
	if len(key) > MaxKey {
		return fmt.Errorf("key %.20q… is longer than %d bytes: %w", key, MaxKey, ErrInvalid)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" {
			return fmt.Errorf("key %.80q has an empty segment: %w", key, ErrInvalid)
		}
		if i := strings.IndexFunc(segment, outside); i >= 0 {
			return fmt.Errorf("key %.80q has a character outside A-Z a-z 0-9 - ~: %w", key, ErrInvalid)
		}
	}
	return nil
}

// CheckAnyKey is CheckKey for keys that others have made, such as those that the
// privilege keys gives access to: any UTF-8 but for what a path can't hold.
func CheckAnyKey(key string) error {
	if len(key) > MaxKey {
		return fmt.Errorf("key %.20q… is longer than %d bytes: %w", key, MaxKey, ErrInvalid)
	}
	if !utf8.ValidString(key) {
		return fmt.Errorf("key %.80q is not UTF-8: %w", key, ErrInvalid)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("key %.80q has the segment %q: %w", key, segment, ErrInvalid)
		}
	}
	return nil
}

// CheckDir is CheckKey for a directory; "" is the whole prefix.
func CheckDir(dir string) error {
	if dir == "" {
		return nil
	}
	return CheckKey(dir)
}

// CheckEntry is CheckKey for an entry that a guarded write is about. It must
// carry both revisions: to etcd a guard of 0 is no guard at all.
func CheckEntry(e Entry) error {
	if err := CheckKey(e.Key); err != nil {
		return err
	}
	return CheckRevisions(e)
}

// CheckRevisions is the other half of CheckEntry.
func CheckRevisions(e Entry) error {
	if e.Created == 0 || e.Modified == 0 {
		return fmt.Errorf("entry %q has no revision: %w", e.Key, ErrInvalid)
	}
	return nil
}

// CheckValue returns ErrInvalid unless value is UTF-8 of at most MaxValue
// bytes.
func CheckValue(value string) error {
	if len(value) > MaxValue {
		return fmt.Errorf("value of %d bytes is longer than %d: %w", len(value), MaxValue, ErrInvalid)
	}
	if !utf8.ValidString(value) {
		return fmt.Errorf("value is not UTF-8: %w", ErrInvalid)
	}
	return nil
}

// RoundTTL returns ttl rounded up to whole seconds, as a driver sends it, or
// ErrInvalid if it is negative or above [MaxTTL]. 0 stays 0: for ever.
func RoundTTL(ttl time.Duration) (time.Duration, error) {
	if ttl < 0 || ttl > MaxTTL {
		return 0, fmt.Errorf("ttl %v is not between 0 and %v: %w", ttl, MaxTTL, ErrInvalid)
	}
	return (ttl + time.Second - 1).Truncate(time.Second), nil
}

func outside(r rune) bool {
	switch {
	case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '~':
		return false
	}
	return true
}
