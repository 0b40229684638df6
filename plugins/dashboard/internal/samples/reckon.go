package samples

import (
	"math"

	dto "github.com/prometheus/client_model/go"
)

// between fills in what was counted between two readings.
func (s *Sample) between(old, now reading) {
	seconds := now.at.Sub(old.at).Seconds()
	calls := increases(old.families, now.families, "modhost_store_call_duration_seconds")
	s.P50, s.P99 = 1000*quantile(.5, calls), 1000*quantile(.99, calls)
	waits := increases(old.families, now.families, "modhost_queue_wait_seconds")
	s.Wait50, s.Wait99 = 1000*quantile(.5, waits), 1000*quantile(.99, waits)
	s.Requests = 0
	for _, in := range increases(old.families, now.families, "modhost_http_requests_total") {
		if in.labels["module"] != "" {
			s.Requests += in.count / seconds
		}
	}
}

// usage is what each module has done and taken between two readings.
func usage(old, now reading) map[string]Usage {
	seconds := now.at.Sub(old.at).Seconds()
	all := make(map[string]Usage)
	change := func(module string, f func(*Usage)) {
		if module == "" { // the host itself
			return
		}
		u, ok := all[module]
		if !ok {
			nan := math.NaN()
			u = Usage{P99: nan, Memory: nan, CPU: nan}
		}
		f(&u)
		all[module] = u
	}
	for _, in := range increases(old.families, now.families, "modhost_http_requests_total") {
		change(in.labels["module"], func(u *Usage) { u.Requests += in.count / seconds })
	}
	times := make(map[string][]increase)
	for _, in := range increases(old.families, now.families, "modhost_http_request_duration_seconds") {
		if in.labels["code"] == "aborted" { // nobody was answered: mostly a stream that was closed, or who gave up
			continue
		}
		times[in.labels["module"]] = append(times[in.labels["module"]], in)
	}
	for module, list := range times {
		change(module, func(u *Usage) { u.P99 = 1000 * quantile(.99, list) })
	}
	for _, in := range increases(old.families, now.families, "process_cpu_seconds_total") {
		change(in.labels["module"], func(u *Usage) { u.CPU = in.count / seconds })
	}
	each(now.families, "process_resident_memory_bytes", func(module string, v float64) {
		change(module, func(u *Usage) { u.Memory = v })
	})
	each(now.families, "modhost_http_requests_in_flight", func(module string, v float64) {
		change(module, func(u *Usage) { u.InFlight = v })
	})
	return all
}

// each calls f with the values of a family as they are.
func each(f Families, name string, do func(module string, v float64)) {
	for _, m := range f[name].GetMetric() {
		do(moduleOf(m), value(m))
	}
}

// gauges are the values of a family by module; not nil.
func gauges(f Families, name string) map[string]int {
	all := make(map[string]int)
	each(f, name, func(module string, v float64) { all[module] += int(v) })
	return all
}

func moduleOf(m *dto.Metric) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == "module" {
			return l.GetValue()
		}
	}
	return ""
}
