package plugin

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// What people put into URLs: credentials before the host, and options that are
// called like secrets.
var (
	userInfo     = regexp.MustCompile(`://([^/?#]+)@`)
	secretOption = regexp.MustCompile(`(?i)[?&;][^=&;#]*(?:secret|passw|token|key|sig|credential)[^=&;#]*=([^&;#]+)`)
)

// credentials returns the parts of the URLs in a value that nobody should see,
// also of an attribute that is not declared sensitive.
func credentials(value cty.Value) []string {
	var found []string
	switch {
	case value.IsNull():
	case value.CanIterateElements():
		for _, element := range value.Elements() {
			found = append(found, credentials(element)...)
		}
	case value.Type() == cty.String && strings.Contains(value.AsString(), "://"):
		for _, pattern := range []*regexp.Regexp{userInfo, secretOption} {
			for _, match := range pattern.FindAllStringSubmatch(value.AsString(), -1) {
				found = append(found, match[1])
				for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
					if plain, err := decode(match[1]); err == nil && plain != match[1] {
						found = append(found, plain) // as messages have it
					}
				}
				if _, password, ok := strings.Cut(match[1], ":"); ok && pattern == userInfo {
					found = append(found, password)
				}
			}
		}
	}
	return found
}
