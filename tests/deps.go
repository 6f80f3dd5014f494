package tests
import (
 _ "github.com/hashicorp/go-plugin"
 _ "github.com/hashicorp/go-hclog"
 _ "github.com/hashicorp/hcl/v2/hclparse"
 _ "github.com/hashicorp/hcl/v2/hcldec"
 _ "github.com/hashicorp/hcl/v2/gohcl"
 _ "github.com/spf13/cobra"
 _ "google.golang.org/grpc"
 _ "google.golang.org/protobuf/proto"
 _ "github.com/rogpeppe/go-internal/testscript"
 _ "github.com/zclconf/go-cty/cty"
 _ "modernc.org/sqlite"
 _ "golang.org/x/sys/unix"
 _ "golang.org/x/term"
 _ "github.com/mattn/go-runewidth"
)
