package backendtest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/trackio-go/trackio/trackio"
	"github.com/trackio-go/trackio/trackio/backendtest"
	"github.com/trackio-go/trackio/trackio/memory"
)

// fault is one thing that a backend gets wrong, and the checks that must find it,
// each with a part of the message that it must give.
type fault struct {
	name  string
	spoil func(*faulty)
	found map[string]string
}

// TestFaults breaks the reference in one way after the other.
func TestFaults(t *testing.T) {
	for _, fault := range faults() {
		t.Run(strings.ReplaceAll(fault.name, " ", "-"), func(t *testing.T) {
			store, common := memory.NewStore(), newShared()
			opener := func(context.Context) (trackio.Backend, error) {
				f := &faulty{Backend: store.Open(), shared: common}
				fault.spoil(f)
				return f, nil
			}
			for name, says := range fault.found {
				results := backendtest.Run(t.Context(), opener, backendtest.Options{Fresh: true, Match: func(n string) bool { return n == name }})
				switch {
				case len(results) != 1:
					t.Errorf("there is no check %s", name)
				case results[0].Err == nil:
					t.Errorf("check %s has not noticed", name)
				case !strings.Contains(results[0].Err.Error(), says):
					t.Errorf("check %s says: %v\nwant in it: %s", name, results[0].Err, says)
				}
			}
		})
	}
}

// TestEveryCheckFinds keeps out checks that nothing can fail.
func TestEveryCheckFinds(t *testing.T) {
	finds := map[string]bool{}
	for _, fault := range faults() {
		for name := range fault.found {
			finds[name] = true
		}
	}
	for _, check := range backendtest.Checks() {
		if !finds[check.Name] {
			t.Errorf("no fault shows that check %s can fail", check.Name)
		}
	}
}

func faults() []fault {
	var all []fault
	all = append(all, listFaults()...)
	all = append(all, streamFaults()...)
	all = append(all, mediaFaults()...)
	all = append(all, importFaults()...)
	all = append(all, changeFaults()...)
	all = append(all, nameFaults()...)
	all = append(all, callFaults()...)
	all = append(all, projectFaults()...)
	all = append(all, collectFaults()...)
	all = append(all, bulkFaults()...)
	all = append(all, transferFaults()...)
	return all
}
