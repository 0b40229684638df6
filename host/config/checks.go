package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// notEmpty demands a text.
func notEmpty(s string) string {
	if s == "" {
		return "is empty; give a value or remove the attribute"
	}
	return ""
}

// oneOf demands one of the values.
func oneOf(values ...string) check {
	return func(s string) string {
		if slices.Contains(values, s) {
			return ""
		}
		if n := Nearest(s, values); n != "" {
			return fmt.Sprintf("no such value; did you mean %q?", n)
		}
		return "no such value; write one of " + strings.Join(values, ", ")
	}
}

// duration demands a time span of at least low.
func duration(s string, low time.Duration) string {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil && digits.MatchString(s):
		return fmt.Sprintf("the unit is missing; write %q or %q", s+"s", s+"m")
	case err != nil:
		return `not a duration; write a number with a unit, for example "500ms", "10s" or "5m"`
	case d < low && low == 0:
		return `is negative; write "0s" or more`
	case d < low:
		return fmt.Sprintf("is too short; write %q or more", low.String())
	}
	return ""
}

// digits is a number without a unit.
var digits = regexp.MustCompile(`^[0-9]+$`)

// address demands address:port.
func address(s string) string {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return `not address:port; write for example "127.0.0.1:4001"`
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Sprintf("%q is no port; write a number from 0 to 65535", port)
	}
	if strings.ContainsAny(host, " /@") {
		return fmt.Sprintf("%q is no address; write an IP address or a host name", host)
	}
	return ""
}

// etcdAddress demands address:port as etcd takes it.
func etcdAddress(s string) string {
	if why := address(s); why != "" {
		return strings.Replace(why, "4001", "2379", 1)
	}
	host, _, _ := net.SplitHostPort(s)
	if host != "localhost" && net.ParseIP(host) == nil {
		return `etcd listens on an IP address or localhost only; write for example "127.0.0.1:2379"`
	}
	return ""
}

// adminAddress demands unix:PATH or address:port.
func adminAddress(s string) string {
	if path, unix := strings.CutPrefix(s, "unix:"); unix {
		if path == "" {
			return `names no path; write for example "unix:data/admin.sock"`
		}
		return ""
	}
	if _, port, err := net.SplitHostPort(s); err == nil && port == "0" {
		return "port 0 is one that nobody could find; write another"
	}
	if why := address(s); why != "" {
		return `neither unix:PATH nor address:port; write for example "unix:data/admin.sock" or "127.0.0.1:4002"`
	}
	return ""
}

// sha256Hex is a SHA-256 sum as sha256sum prints it.
var sha256Hex = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)

// sha256Sum demands a SHA-256 sum.
func sha256Sum(s string) string {
	if !sha256Hex.MatchString(s) {
		return `not a SHA-256 sum; write the 64 hex digits that "sha256sum FILE" prints`
	}
	return ""
}

// api demands an etcd API that this version has.
func api(s string) string {
	switch s {
	case "v2":
		return ""
	case "v3":
		return `not available in this version; write "v2"`
	}
	return `no such API; write "v2"`
}

// keySegment is what one segment of a key may be: nothing that etcd, a path
// or a URL treats specially.
var keySegment = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// prefix demands an absolute key path.
func prefix(s string) string {
	return cleanPath(s, "/_mod", "/"+strings.Trim(s, "/"))
}

// cleanPath demands an absolute path of safe segments. Its remedies name the
// example and, where only slashes at the ends are wrong, the trimmed path.
func cleanPath(s, example, trimmed string) string {
	if s == "" || strings.Trim(s, "/") == "" {
		return fmt.Sprintf("names nothing; write for example %q", example)
	}
	if !strings.HasPrefix(s, "/") {
		return fmt.Sprintf("not absolute; write %q", trimmed)
	}
	if strings.HasSuffix(s, "/") {
		return fmt.Sprintf("ends with a slash; write %q", trimmed)
	}
	for _, seg := range strings.Split(s[1:], "/") {
		switch {
		case seg == "":
			return "has an empty segment; write single slashes"
		case seg == "." || seg == "..":
			return fmt.Sprintf("has the segment %q; write the path without it", seg)
		case !keySegment.MatchString(seg):
			return fmt.Sprintf("the segment %q has other characters than A-Z a-z 0-9 . _ -; choose another", seg)
		}
	}
	return ""
}

// endpoint demands the base URL of an etcd member.
func endpoint(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return `not an http or https URL; write for example "http://10.0.0.1:2379"`
	case u.User != nil:
		return "holds credentials; use username and password_file"
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Sprintf("has more than address and port; write \"%s://%s\"", u.Scheme, u.Host)
	case u.Port() == "":
		return fmt.Sprintf("the port is missing; write \"%s://%s:2379\"", u.Scheme, u.Hostname())
	}
	return address(u.Host)
}

// moduleNames is what a module may be called: a path segment, a file name
// and a key segment at once.
var moduleNames = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// moduleName demands a module's name.
func moduleName(s string) string {
	switch {
	case s == "v2":
		return "the name is reserved for the paths of the v2 API; choose another"
	case !moduleNames.MatchString(s):
		return "not a module name; write a letter a-z, then up to 62 of a-z 0-9 -"
	}
	return ""
}

// variable demands the name of an environment variable.
func variable(s string) string {
	switch {
	case s == "":
		return `is empty; write a name such as "PATH"`
	case strings.ContainsAny(s, "=\x00"):
		return "the list holds names, not values; write the name alone and set it where modhost is started"
	}
	return ""
}
