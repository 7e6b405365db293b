// Package boltstore keeps what a directory knows in one file, for one process.
//
// The file grows to a few times the size of what is in it, and is then reused. A disk that hangs holds up all that uses
// the file: contexts end calls only before they begin.
package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"sphinxmix.example/node/directory"
)

// A value stands in the file behind the mark of its set, 8 bytes big-endian.
const markSize = 8

var bucketName = []byte("directory 1") // and the version of what is in it

// Store is a [directory.Store] in a file. A set is on disk when it returns; those that come at one time are written as
// one, which delays each by up to 10 ms.
type Store struct {
	db *bbolt.DB
}

var _ directory.Store = (*Store)(nil)

// Open opens the file, or makes one that only its owner can read. It must be closed after use. The error says so where
// another process has it open.
func Open(file string) (*Store, error) {
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("the directory's file %s is in use by another process", file)
	}
	if err != nil {
		return nil, fmt.Errorf("the directory's file %s: %w", file, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketName)
		return err
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("the directory's file %s: %w", file, err)
	}
	return &Store{db}, nil
}

// Close closes the file, after all calls that are under way.
func (s *Store) Close() error { return s.db.Close() }

// Since is as [directory.Store] says.
func (s *Store) Since(ctx context.Context, mark int64) (values map[string][]byte, reached int64, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketName)
		reached = int64(b.Sequence())
		if reached == mark {
			return nil
		}
		if reached < mark {
			mark = 0
		}
		values = make(map[string][]byte)
		return b.ForEach(func(name, stored []byte) error {
			at, err := markOf(name, stored)
			if err == nil && at > mark {
				values[string(name)] = bytes.Clone(stored[markSize:])
			}
			return err
		})
	})
	return values, reached, err
}

// Set is as [directory.Store] says.
func (s *Store) Set(ctx context.Context, name string, value []byte, mark int64) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	var set bool
	err := s.db.Batch(func(tx *bbolt.Tx) error {
		set = false // this may be called more than once
		b := tx.Bucket(bucketName)
		if stored := b.Get([]byte(name)); stored != nil {
			if at, err := markOf([]byte(name), stored); err != nil || at > mark {
				return err
			}
		}
		set = true
		if value == nil {
			return b.Delete([]byte(name))
		}
		at, err := b.NextSequence()
		if err != nil {
			return err
		}
		stored := binary.BigEndian.AppendUint64(make([]byte, 0, markSize+len(value)), at)
		return b.Put([]byte(name), append(stored, value...))
	})
	return set && err == nil, err
}

func markOf(name, stored []byte) (int64, error) {
	if len(stored) < markSize {
		return 0, fmt.Errorf("the value of %q is too short", name)
	}
	return int64(binary.BigEndian.Uint64(stored)), nil
}
