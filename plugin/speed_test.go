package plugin

import (
	"os"
	"testing"
)

// BenchmarkOpenCallClose is what a short command pays for its backend.
func BenchmarkOpenCallClose(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for name, block := range map[string]*Block{
		"builtin":    {Type: "test", Name: "t"},
		"thirdparty": thirdPartyBlock(b, self),
	} {
		b.Run(name, func(b *testing.B) {
			host := testHost()
			for b.Loop() {
				c, err := host.Open(b.Context(), &Config{}, block)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := projects(b.Context(), c); err != nil {
					b.Fatal(err)
				}
				if err := c.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// thirdPartyBlock names a program.
func thirdPartyBlock(b *testing.B, path string) *Block {
	b.Helper()
	file := b.TempDir() + "/config.hcl"
	if err := os.WriteFile(file, []byte("backend \"test\" \"t\" {\n plugin = \""+path+"\"\n}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	cfg, err := LoadConfig(file)
	if err != nil {
		b.Fatal(err)
	}
	return cfg.Blocks[0]
}
