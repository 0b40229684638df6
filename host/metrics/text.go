package metrics

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/proto"
)

// parse reads the Prometheus text format.
func parse(text []byte) (families map[string]*dto.MetricFamily, err error) {
	defer func() {
		if v := recover(); v != nil { // the parser's defect, and the module's fault
			families, err = nil, fmt.Errorf("can't be read: %v", v)
		}
	}()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if families, err = parser.TextToMetricFamilies(bytes.NewReader(text)); err != nil {
		return nil, err // and not what was read before it
	}
	return families, nil
}

// showable returns why a family can't be written out again, in the middle of
// the page: the parser does not promise that it can.
func showable(f *dto.MetricFamily) error {
	_, err := expfmt.MetricFamilyToText(io.Discard, f)
	return err
}

const (
	moduleLabel = "module"
	exported    = "exported_" // what a label is called that has the name of one of ours, as in Prometheus
)

// claim says whose a family is: it puts the label module on each metric.
func claim(f *dto.MetricFamily, module string) {
	for _, m := range f.GetMetric() {
		has := func(name string) bool {
			return slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == name })
		}
		for _, l := range m.Label {
			if l.GetName() == moduleLabel {
				name := exported + moduleLabel
				for has(name) {
					name = exported + name
				}
				l.Name = proto.String(name)
			}
		}
		m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(moduleLabel), Value: proto.String(module)})
		slices.SortFunc(m.Label, byName)
	}
}

func byName(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) }

// ambiguous reports whether two metrics of a family have the same labels, or
// one has a label twice.
func ambiguous(f *dto.MetricFamily) bool {
	seen := make(map[string]bool, len(f.GetMetric()))
	for _, m := range f.GetMetric() {
		var key strings.Builder
		last := ""
		for _, l := range m.Label { // sorted by claim
			if l.GetName() == last {
				return true
			}
			last = l.GetName()
			fmt.Fprintf(&key, "%s=%q,", last, l.GetValue())
		}
		if seen[key.String()] {
			return true
		}
		seen[key.String()] = true
	}
	return false
}
