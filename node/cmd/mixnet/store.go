package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sphinxmix.example/node/directory"
	"sphinxmix.example/node/directory/boltstore"
	"sphinxmix.example/node/directory/etcdstore"
)

// checkStoreFile says what keeps a file from being a directory's store, without a change to it.
func checkStoreFile(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkWritable(filepath.Dir(name))
	case err != nil:
		return &remedied{fmt.Sprintf("%s %v", name, reason(err)), "let the user that runs this use it"}
	case !info.Mode().IsRegular():
		return &remedied{name + " is no file", "name another"}
	}
	return checkWritable(filepath.Dir(name))
}

// store is a directory's store that somebody has to close.
type store interface {
	directory.Store
	Close() error
}

// inMemory is a store that ends with the process.
type inMemory struct{ directory.Memory }

func (*inMemory) Close() error { return nil }

// checkStore looks at where the list of nodes is to be kept, without a change to it.
func (l *loadedServer) checkStore() {
	c, name := l.file, l.settings.store
	if !c.usable("store") {
		return
	}
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "memory":
		if name != kind {
			c.refuse("store", "is "+quoted(name)+", which is no store")
		}
	case "bolt":
		if rest == "" {
			c.refuse("store", "is "+quoted(name)+", which names no file")
		} else if err := checkStoreFile(c.path(rest)); err != nil {
			c.refuseWith("store", err)
		}
	case "etcd", "etcds":
		shared, err := etcdstore.Open(name) // does not connect
		if err != nil {
			c.refuseWith("store", err)
			return
		}
		shared.Close()
	default:
		c.refuse("store", "is "+quoted(name)+", which is no store")
	}
}

// openStore opens what a directory's configuration, which was checked, names.
func (l *loadedServer) openStore() (store, error) {
	kind, rest, _ := strings.Cut(l.settings.store, ":")
	switch kind {
	case "bolt":
		return boltstore.Open(l.file.path(rest))
	case "etcd", "etcds":
		return etcdstore.Open(l.settings.store)
	default:
		return new(inMemory), nil
	}
}
