package plugin

import (
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// What looks like a secret in a URL is shown nowhere, whatever its attribute.
func TestCredentialsInURLs(t *testing.T) {
	for text, want := range map[string]string{
		"s3://runs?prefix=a/&region=eu-west-1":                    "s3://runs?prefix=a/&region=eu-west-1",
		"me:hunter2@host":                                         "me:hunter2@host", // no URL
		"s3://me:hunter2@runs":                                    "s3://(sensitive)@runs",
		"https://hunter2@host/a@b":                                "https://(sensitive)@host/a@b",
		"postgres://me:hun@ter2@host/db":                          "postgres://(sensitive)@host/db",
		"s3://runs?secret_key=hunter2&prefix=a":                   "s3://runs?secret_key=(sensitive)&prefix=a",
		"azblob://runs?prefix=a&X-Sig=hunter2;accessToken=hunter": "azblob://runs?prefix=a&X-Sig=(sensitive);accessToken=(sensitive)",
	} {
		shown := text
		for _, secret := range credentials(cty.StringVal(text)) {
			shown = strings.ReplaceAll(shown, secret, masked)
		}
		if shown != want {
			t.Errorf("%s is shown as %s, want %s", text, shown, want)
		}
	}
	list := cty.ListVal([]cty.Value{cty.StringVal("a"), cty.StringVal("http://u:hun%2Fter2@h")})
	found := strings.Join(credentials(list), " ")
	for _, secret := range []string{"u:hun%2Fter2", "u:hun/ter2", "hun%2Fter2"} { // as it stands, and as messages have it
		if !strings.Contains(found, secret) {
			t.Errorf("%q is not among %q", secret, found)
		}
	}
	t.Setenv("TEST_DIR", "")
	c := open(t, `dir = "https://me:hunter2@host"`)
	if got := c.Settings()[0].Value; got != "https://(sensitive)@host" {
		t.Errorf("dir is shown as %s", got)
	}
	cfg := config(t, "dir = \"https://me:hunter2@host\"\ntrouble = \"bad dir\"")
	_, err := testHost().Open(t.Context(), cfg, cfg.Blocks[0])
	if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}
