// Package browser tests the dashboard in a real Chromium, against real hosts.
package browser
