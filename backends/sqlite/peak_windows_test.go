package sqlite

import "testing"

// peakOfMove moves the big run here; Windows tells nothing about the peak.
func peakOfMove(t *testing.T, dir string) int64 {
	t.Helper()
	if err := moveBig(dir); err != nil {
		t.Fatal(err)
	}
	return 0
}
