package supervisor

import "strings"

// inherited lists the environment variables of the host that every plugin is
// given: where programs and temporary files are, language and time zone, the
// system's certificates, and the Go runtime's own switches. Everything else,
// which may hold the host's secrets, a plugin sees only if its Spec names it.
var inherited = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LANGUAGE", "TZ",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	"GODEBUG", "GOTRACEBACK", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GORACE",
	"SYSTEMROOT", "TEMP", "TMP", // Windows programs do not start without
}

// environ picks from environ, in the form of os.Environ, what a plugin
// inherits, and appends extra.
func environ(host, extra []string) []string {
	var env []string
	for _, v := range host {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "LC_") {
			env = append(env, v)
			continue
		}
		for _, allowed := range inherited {
			if name == allowed {
				env = append(env, v)
			}
		}
	}
	return append(env, extra...)
}
