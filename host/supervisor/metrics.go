package supervisor

import "context"

// Metrics asks the process that serves the module of that name what it counts:
// the Prometheus text format, empty if there is no process or it does not tell.
// An error of wire's Client.Metrics, or ctx's, if it can't be had.
func (s *Supervisor) Metrics(ctx context.Context, name string) ([]byte, error) {
	m := s.module(name)
	if m == nil {
		return nil, nil
	}
	p := m.now.Load().process
	if p == nil {
		return nil, nil
	}
	return p.client.Metrics(ctx)
}
