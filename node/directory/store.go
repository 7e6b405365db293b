package directory

import (
	"bytes"
	"context"
	"sync"
)

// Store keeps what the servers of one directory know together: values of up to MaxViewSize bytes under short names of
// letters, digits and slashes. It is safe for concurrent use.
//
// Every Set of a value has a mark, which is above 0 and above the marks of all sets before it, whoever made them.
// Directories delete only what has expired and what everybody drops unasked, so that a deletion needs no mark.
type Store interface {
	// Since returns the values that were set after mark and are still there, and the mark that they reach to, with
	// which the next call finds what comes after. Where the store has not come as far as mark, because a backup took
	// its place, it returns all values. It is cheap when there are none. The values must not be changed.
	Since(ctx context.Context, mark int64) (values map[string][]byte, reached int64, err error)

	// Set sets name to value, or deletes it if value is nil, and returns true once that is durable. If name was set
	// after mark, it returns false and changes nothing. After an error, the value may or may not be set.
	Set(ctx context.Context, name string, value []byte, mark int64) (bool, error)
}

// Memory is a Store that ends with the process. Its zero value is empty and ready to use. It must not be copied.
type Memory struct {
	mu     sync.Mutex
	mark   int64              // of the last set; guarded by mu
	values map[string]written // guarded by mu
}

type written struct {
	value []byte
	mark  int64
}

// Since is as [Store] says.
func (m *Memory) Since(ctx context.Context, mark int64) (map[string][]byte, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if mark == m.mark {
		return nil, mark, nil
	}
	if mark > m.mark {
		mark = 0
	}
	values := make(map[string][]byte)
	for name, w := range m.values {
		if w.mark > mark {
			values[name] = w.value
		}
	}
	return values, m.mark, nil
}

// Set is as [Store] says.
func (m *Memory) Set(ctx context.Context, name string, value []byte, mark int64) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values[name].mark > mark {
		return false, nil
	}
	if value == nil {
		delete(m.values, name)
		return true, nil
	}
	if m.values == nil {
		m.values = make(map[string]written)
	}
	m.mark++
	m.values[name] = written{bytes.Clone(value), m.mark}
	return true, nil
}
