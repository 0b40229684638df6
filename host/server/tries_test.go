package server

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etcd-modules/modhost/sdk/wire"
)

var sumOfSecret = sha256.Sum256([]byte(secret))

func TestTries(t *testing.T) {
	var l tries
	now := time.Unix(1000, 0)
	check := func(address, token string) string {
		right, limited := l.check(address, token, sumOfSecret, now)
		if limited > 0 {
			return fmt.Sprint("wait ", limited)
		}
		return fmt.Sprint(right)
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	want("right at once", check("a", secret), "true")
	for i := range manyTries {
		want("wrong", check("a", fmt.Sprint(i)), "false")
	}
	want("one too many", check("a", "x"), "wait 6s")
	want("the right one too late", check("a", secret), "wait 6s")
	want("the latest wrong one again", check("a", "9"), "false")
	want("another address", check("b", secret), "true")
	now = now.Add(5 * time.Second)
	want("later", check("a", secret), "wait 1s")
	now = now.Add(time.Second)
	want("in time", check("a", secret), "true")
	want("and once more", check("a", "y"), "false")
	want("and no more", check("a", "z"), "wait 6s")

	// A program with an old token does not lock out who is beside it.
	for range 10 * manyTries {
		want("the same again", check("c", "old"), "false")
	}
	want("beside it", check("c", secret), "true")
	now = now.Add(time.Hour)
	for i := range manyTries {
		want("after an hour", check("a", fmt.Sprint(i)), "false")
	}
	want("all used up", check("a", secret), "wait 6s")
}

func TestTries_ManyAddresses(t *testing.T) {
	var l tries
	now := time.Unix(1000, 0)
	for i := range 3 * manyTriers {
		l.check(fmt.Sprint(i), fmt.Sprint("wrong ", i), sumOfSecret, now)
	}
	if len(l.by) > manyTriers+1 {
		t.Errorf("%d addresses are kept, want at most %d", len(l.by), manyTriers+1)
	}
	if right, limited := l.check("new", secret, sumOfSecret, now); right || limited == 0 {
		t.Error("new addresses have tries of their own while there are too many")
	}
	if right, _ := l.check("0", secret, sumOfSecret, now); !right {
		t.Error("an address that is known has to wait for others")
	}
	now = now.Add(manyTries * tryTime)
	if right, _ := l.check("new", secret, sumOfSecret, now); !right || len(l.by) > 1 {
		t.Errorf("after a minute %d addresses are kept", len(l.by))
	}
}

func TestAddressOf(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64", "[fe80::1%eth0]:80": "fe80::/64",
		"[::ffff:10.0.0.1]:80": "::ffff:10.0.0.1", "@": "@", "": "",
	} {
		if got := addressOf(remote); got != want {
			t.Errorf("addressOf(%q) = %q, want %q", remote, got, want)
		}
	}
}

func TestAccess_TooManyTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := secured(t, Rules{Token: secret}, nil)
		c := signedIn(t, s, "")
		for i := range manyTries {
			refused(t, ask(s, "POST", "/mod/p", fmt.Sprint("modhost_token=", i), formType), 401, wire.CodeUnauthorized, "")
		}
		right := "modhost_token=" + url.QueryEscape(secret)
		refused(t, ask(s, "POST", "/mod/p", right, formType), 429, wire.CodeTooManyTries, "wait 6 s")
		refused(t, ask(s, "GET", "/mod/p", "", "Authorization: Bearer "+secret), 429, wire.CodeTooManyTries, "")
		page := ask(s, "POST", "/mod/p", right, formType, browser)
		if page.Code != 429 || page.Header().Get("Retry-After") == "" || !strings.Contains(page.Body.String(), "wait 6 s") || len(page.Result().Cookies()) > 0 {
			t.Errorf("page = %d %v %s", page.Code, page.Header(), page.Body)
		}
		given(t, ask(s, "GET", "/mod/p", "", "Cookie: modhost_session="+c.Value))
		refused(t, ask(s, "GET", "/mod/p", ""), 401, wire.CodeUnauthorized, "")
		time.Sleep(tryTime)
		given(t, ask(s, "GET", "/mod/p", "", "Authorization: Bearer "+secret))
	})
}
