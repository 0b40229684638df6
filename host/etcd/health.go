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

// member asks one endpoint.
func member(ctx context.Context, client *http.Client, endpoint string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/health", nil)
	if err != nil {
		return fmt.Errorf("etcd %s: %w", endpoint, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error // its text repeats the URL
		if errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("etcd %s: %w", endpoint, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd %s: not healthy: %s", endpoint, strings.TrimSpace(string(body)))
	}
	return nil
}
