package plugin

// stopSelf does nothing: processes are not stopped on Windows.
func stopSelf() {}
