package ledger

import (
	"container/list"
	"sync"
)

// maxCached bounds the bytes of the parts that a process keeps.
const maxCached = 32 << 20

// cache keeps the parts that were used last. The zero value is ready.
type cache struct {
	mu    sync.Mutex
	size  int
	order list.List // of *cached; the one used last is in front
	byKey map[string]*list.Element
}

type cached struct {
	key  string
	body []byte
}

func (c *cache) get(key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).body, true
}

func (c *cache) put(key string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok || len(body) > maxCached {
		return
	}
	if c.byKey == nil {
		c.byKey = map[string]*list.Element{}
	}
	c.byKey[key] = c.order.PushFront(&cached{key, body})
	for c.size += len(body); c.size > maxCached; {
		oldest := c.order.Remove(c.order.Back()).(*cached)
		delete(c.byKey, oldest.key)
		c.size -= len(oldest.body)
	}
}
