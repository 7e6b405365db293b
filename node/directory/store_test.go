package directory_test

import (
	"testing"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/directory/storetest"
)

// memory keeps its values when it is closed: what tests of a restart need.
func memory(*testing.T) storetest.Data {
	kept := new(directory.Memory)
	return func(*testing.T) (directory.Store, func()) { return kept, func() {} }
}

func TestMemory(t *testing.T) { storetest.Run(t, memory) }

func TestSharedMemory(t *testing.T) { storetest.RunShared(t, memory) }
