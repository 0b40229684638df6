package main

import (
	"strings"
	"testing"
	"time"
)

// The host adds the label that tells the lock's queue from the leader's.
func TestLock_TellsItsMetrics(t *testing.T) {
	inBubble(t, func(t *testing.T, c *client) {
		c.Do("POST", "/a?ttl=600").Index(t)
		p := c.Begin("POST", "/a?ttl=60")
		c.Do("POST", "/a?ttl=60&timeout=0")
		time.Sleep(time.Minute)
		c.Replace() // the request goes on in the next process, and has waited all the time
		time.Sleep(9 * time.Minute)
		p.End().Index(t)
		text := c.Metrics()
		for _, want := range []string{
			"modhost_queue_grants_total 1",
			"modhost_queue_wait_seconds_sum 600",
			"modhost_queue_expiries_total 1",
			"modhost_queue_refusals_total 0", // that was the process before
			"modhost_queue_locks_held 1",
			"modhost_queue_requests_waiting 0",
			`modhost_store_calls_total{operation="swap",result="ok"} `,
		} {
			if !strings.Contains(text, "\n"+want) {
				t.Errorf("metrics lack %q:\n%s", want, text)
			}
		}
	})
}
