package host

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen binds the address that an attribute names, and says what to do if that
// is not possible, with an example of an address and, unless it has to be known
// beforehand, of port 0.
func listen(attribute, address, example string, zero bool) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	why, remedy := err.Error(), fmt.Sprintf("set another address, for example %q", example)
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		why, remedy = "the port is in use by another process", "stop that one, or set another port"
		if zero {
			remedy += " or port 0"
		}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		why = "not an address of this machine"
	case errors.Is(err, syscall.EACCES):
		why, remedy = "no permission to listen there", "set a port above 1023"
	case errors.As(err, &dns):
		why = "the host name has no address"
	}
	return nil, &configError{fmt.Sprintf("%s %q: %s; %s", attribute, address, why, remedy), err}
}

// configError has a text for the user and a cause for errors.Is.
type configError struct {
	text string
	err  error
}

func (e *configError) Error() string { return e.text }
func (e *configError) Unwrap() error { return e.err }
