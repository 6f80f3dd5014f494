package bucket

// Environment returns the variables, by name or as the beginning of names and
// "*", from which the clients of the clouds take credentials, endpoints and
// regions. A process that opens buckets needs them.
func Environment() []string {
	return []string{
		"AWS_*",
		"GOOGLE_*", "CLOUDSDK_*", "GCE_METADATA_HOST", "STORAGE_EMULATOR_HOST",
		"AZURE_*", "IDENTITY_*", "MSI_*",
	}
}
