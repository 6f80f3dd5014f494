package backendtest

import "testing"

// Test runs each check as a subtest on a storage of its own, which fresh makes.
// A check of a capability that the backend does not have passes, and says so in
// the log.
func Test(t *testing.T, fresh func(t *testing.T) Opener) {
	t.Helper()
	for _, check := range Checks() {
		t.Run(check.Name, func(t *testing.T) {
			result := runCheck(t.Context(), check, fresh(t), Options{Fresh: true})
			switch {
			case result.Err != nil:
				t.Errorf("%v\nthe documentation says: %s", result.Err, check.Why)
			case result.NotApplicable != "":
				t.Log(result.NotApplicable)
			}
		})
	}
}
