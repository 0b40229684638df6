package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Health returns nil if one of the endpoints answers that its cluster is
// well, which includes that it has a leader; else why each of them did not.
// It asks them at once and returns when ctx ends at the latest.
func Health(ctx context.Context, client *http.Client, endpoints []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error, len(endpoints))
	for _, e := range endpoints {
		// Each ends with ctx, that is with this function.
		go func() { results <- member(ctx, client, e) }()
	}
	var errs []error
	for range endpoints {
		err := <-results
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// member asks one endpoint: whether it is well, and whether it serves the API
// that modules use.
func member(ctx context.Context, client *http.Client, endpoint string) error {
	resp, err := ask(ctx, client, endpoint+"/health")
	if err != nil {
		return fmt.Errorf("etcd %s: %w", endpoint, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd %s: not healthy: %s", endpoint, resp.text)
	}
	// Every answer of the v2 API, that there is no such key too, says which
	// cluster it is from.
	resp, err = ask(ctx, client, endpoint+"/v2/keys/_modhost/health")
	if err != nil {
		return fmt.Errorf("etcd %s: %w", endpoint, err)
	}
	if resp.StatusCode == http.StatusNotFound && resp.Header.Get("X-Etcd-Cluster-Id") == "" {
		return fmt.Errorf("etcd %s: does not serve its v2 API; start it with --enable-v2 (etcd 3.5 or older)", endpoint)
	}
	return nil
}

// An answer is a response whose body, as far as it is of interest, was read.
type answer struct {
	*http.Response
	text string
}

func ask(ctx context.Context, client *http.Client, address string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error // its text repeats the URL
		if errors.As(err, &u) {
			err = u.Err
		}
		return answer{}, err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	return answer{resp, strings.TrimSpace(string(body))}, nil
}
