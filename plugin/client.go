package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/trackio-go/trackio/plugin/internal/backendv1"
	"github.com/trackio-go/trackio/plugin/internal/wire"
	"github.com/trackio-go/trackio/trackio"
)

const (
	// closeTimeout is how long a backend may take to close its storage.
	closeTimeout = 5 * time.Second
	// exitTimeout is how long its process may take to end after that: nothing is
	// open then, and it is killed.
	exitTimeout = 500 * time.Millisecond
	// deathTime is how long the end of a process is waited for when a connection
	// broke.
	deathTime = waitDelay + 200*time.Millisecond
)

// Client is an opened backend in a process of its own. It is a
// [trackio.Backend]; the capabilities that the backend declared and its block
// did not switch off are found with [trackio.As].
//
// When the process dies, calls fail with [trackio.ErrBackendDied]; after Close,
// with [trackio.ErrUnavailable].
type Client struct {
	trackio.Backend

	block       *Block
	meta        meta
	remote      *wire.Client
	plugin      *goplugin.Client
	process     *process
	output      *outputLog
	program     string // what was started
	dir         string // of the socket
	description *backendv1.DescribeResponse
	values      *values

	closing sync.Once
	closed  atomic.Bool
	failure error // of closing
}

// As finds the capabilities of the backend, for [trackio.As].
func (c *Client) As(target any) bool { return c.remote.As(target) }

// Type returns the type of the backend.
func (c *Client) Type() string { return c.description.GetType() }

// Version returns the version of the backend's program.
func (c *Client) Version() string { return c.description.GetVersion() }

// Kinds returns the kinds of records that the backend keeps.
func (c *Client) Kinds() trackio.Kinds { return wire.FromKinds(c.description.GetKinds()) }

// Capabilities returns the words for what the backend can do beside the required
// methods, as the attribute disable takes them.
func (c *Client) Capabilities() []string {
	var names []string
	for _, capability := range c.remote.Capabilities {
		if name := wire.CapabilityName(capability); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Settings returns the configuration of the backend, value by value, with the
// source of each. Sensitive values are masked.
func (c *Client) Settings() []Setting { return c.values.settings }

// Close closes the storage and ends the process; it is killed when it does not
// end by itself. Closing again does nothing.
func (c *Client) Close() error {
	c.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if !c.process.ended(0) {
			_, err := c.remote.RPC.Close(ctx, &backendv1.CloseRequest{})
			c.failure = c.remote.Failed(ctx, "Close", err)
			switch {
			case errors.Is(c.failure, errors.ErrUnsupported): // it has nothing to close
				c.failure = nil
			case ctx.Err() != nil:
				c.failure = trackio.Errorf(trackio.ErrUnavailable, "%s did not close within %v and was ended", c.block.describe(), closeTimeout)
			}
		}
		c.closed.Store(true)
		c.kill()
	})
	return c.failure
}

// kill ends the process, by asking and then without asking.
func (c *Client) kill() {
	ended := make(chan struct{})
	go func() {
		c.plugin.Kill() // asks, and waits up to two seconds, or for ever when the process is stopped
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(exitTimeout):
		if c.process != nil {
			_ = c.process.Kill(context.Background())
		}
		select {
		case <-ended:
		case <-time.After(exitTimeout): // something else keeps the connection open
		}
	}
	if c.dir != "" {
		_ = os.RemoveAll(c.dir)
	}
}

// lost says what became of the process when a call failed on the way.
func (c *Client) lost(call string) error {
	if !c.process.ended(deathTime) {
		return nil
	}
	if c.closed.Load() {
		return trackio.Errorf(trackio.ErrUnavailable, "%s is closed", c.block.describe())
	}
	err := trackio.Errorf(trackio.ErrBackendDied, "the process of %s died in %s (%s)%s", c.block.describe(), call, c.process.state(), c.lastWords())
	switch call {
	case "ImportRun", "DeleteRun", "MoveRun", "RenameRun", "DeleteProject", "Examine":
		return err.WithHint("look whether the change took effect before you repeat it")
	}
	return err
}

// lastWords returns what the process wrote last, for the end of a message.
func (c *Client) lastWords() string {
	lines := c.output.lastLines()
	if len(lines) == 0 {
		return ""
	}
	return "; it wrote last:\n\t" + strings.Join(lines, "\n\t")
}

// describe names a block in messages.
func (b *Block) describe() string { return fmt.Sprintf("backend %q (%s)", b.Name, b.Type) }
