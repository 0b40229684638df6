package samples

import (
	"maps"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// Families are metrics by their names.
type Families = map[string]*dto.MetricFamily

// An increase is by how much one counter or histogram has grown.
type increase struct {
	labels  map[string]string
	count   float64
	buckets map[float64]float64 // histograms: how many were at most that, infinity included
}

// increases returns by how much the series of a family have grown from old to
// now. A series that began anew, since its process did, counts from 0.
func increases(old, now Families, name string) []increase {
	before := make(map[string]*dto.Metric)
	for _, m := range old[name].GetMetric() {
		before[key(m)] = m
	}
	var list []increase
	for _, m := range now[name].GetMetric() {
		was := before[key(m)]
		in := increase{labels: labels(m)}
		switch h := m.GetHistogram(); {
		case h != nil:
			if was != nil && was.GetHistogram().GetSampleCount() > h.GetSampleCount() {
				was = nil
			}
			in.count = float64(h.GetSampleCount()) - float64(was.GetHistogram().GetSampleCount())
			in.buckets = make(map[float64]float64, len(h.GetBucket()))
			for _, b := range h.GetBucket() {
				in.buckets[b.GetUpperBound()] = float64(b.GetCumulativeCount())
			}
			for _, b := range was.GetHistogram().GetBucket() {
				in.buckets[b.GetUpperBound()] -= float64(b.GetCumulativeCount())
			}
		default:
			in.count = value(m)
			if v := value(was); v <= in.count {
				in.count -= v
			}
		}
		list = append(list, in)
	}
	return list
}

// value is that of a counter, a gauge, or something without a type; 0 of nil.
func value(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return m.GetUntyped().GetValue()
}

// key tells the series of a family apart.
func key(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.GetLabel() { // in the order of their names
		b.WriteString(l.GetName())
		b.WriteByte(0)
		b.WriteString(l.GetValue())
		b.WriteByte(0)
	}
	return b.String()
}

func labels(m *dto.Metric) map[string]string {
	all := make(map[string]string, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		all[l.GetName()] = l.GetValue()
	}
	return all
}

// quantile estimates below what the part q of all that was counted lies, in the
// unit of the buckets; NaN if nothing was counted. What lies above the last
// bucket's bound counts as that bound.
func quantile(q float64, list []increase) float64 {
	sum := make(map[float64]float64)
	for _, in := range list {
		for bound, n := range in.buckets {
			sum[bound] += n
		}
	}
	bounds := slices.Sorted(maps.Keys(sum))
	if len(bounds) == 0 || sum[bounds[len(bounds)-1]] <= 0 {
		return math.NaN()
	}
	rank := q * sum[bounds[len(bounds)-1]]
	low, below := 0.0, 0.0
	for _, bound := range bounds {
		if n := sum[bound]; n >= rank && n > below {
			if math.IsInf(bound, 1) {
				return low
			}
			return low + (bound-low)*(rank-below)/(n-below)
		}
		low, below = bound, sum[bound]
	}
	return low
}
