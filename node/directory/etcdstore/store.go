// Package etcdstore keeps what a directory knows in etcd, where several servers of the directory find it.
//
// All names begin with a prefix of the directory's own. Behind it stand
//
//	mark              set with each value, so that one small read tells whether there is anything new
//	value/NAME        0x00 ‖ the value, or for one of more than 1 MiB, 0x01 ‖ an id of 16 bytes and its parts at
//	part/NAME/ID/N    with N from 0000 on, up to 1 MiB each
//
// The marks of [directory.Store] are etcd's revisions. A value and what belongs to it change in one transaction. Parts
// are written before that, so that a writer that fails leaves some behind: the next that sets the value removes them.
//
// etcd keeps old values until it is told to compact: run it with --auto-compaction-retention=1h or the like, or what
// it keeps grows without bound. The store logs in nowhere, so keep strangers from etcd's ports. After etcd was set
// back to a backup, restart the directory's servers.
package etcdstore

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sphinxmix.example/node/directory"
)

const (
	callTimeout = 5 * time.Second // for one call of etcd
	keepAlive   = 5 * time.Second // between signs of life on a connection, and to wait for one
	partSize    = 1 << 20         // bytes; etcd takes requests of up to 1.5 MiB
	partsAtOnce = 2               // in one call, which all of a large value may take too long for
	idSize      = 16              // bytes
)

// The first byte of a value in etcd.
const (
	whole   = 0x00
	inParts = 0x01
)

// Store is a [directory.Store] in etcd.
type Store struct {
	client *clientv3.Client
	prefix string
}

var _ directory.Store = (*Store)(nil)

// Open returns the store that a URL names: "etcd://host:port,host:port/prefix", or etcds:// for TLS with certificates
// that the system trusts. The prefix is "sphinxmix" if there is none. It connects when it is first used, and must be
// closed after use.
func Open(url string) (*Store, error) {
	cfg, prefix, err := parse(url)
	if err != nil {
		return nil, err
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("the directory's store %s: %w", url, err)
	}
	return &Store{client, prefix}, nil
}

func parse(url string) (clientv3.Config, string, error) {
	cfg := clientv3.Config{
		DialTimeout:          callTimeout,
		DialKeepAliveTime:    keepAlive,
		DialKeepAliveTimeout: keepAlive,
		Logger:               zap.NewNop(), // what goes wrong is returned
	}
	wrong := fmt.Errorf("the directory's store %q is not of the form etcd://host:port,host:port/prefix", url)
	scheme, rest, _ := strings.Cut(url, "://")
	switch scheme {
	case "etcd":
		scheme = "http"
	case "etcds":
		scheme = "https"
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	default:
		return cfg, "", wrong
	}
	hosts, prefix, _ := strings.Cut(rest, "/")
	for host := range strings.SplitSeq(hosts, ",") {
		name, port, err := net.SplitHostPort(host)
		if err != nil || name == "" || port == "" || strings.ContainsAny(host, "@?#% ") {
			return cfg, "", wrong
		}
		cfg.Endpoints = append(cfg.Endpoints, scheme+"://"+host)
	}
	if prefix == "" {
		prefix = "sphinxmix"
	}
	return cfg, strings.TrimSuffix(prefix, "/") + "/", nil
}

// Close ends the connections to etcd, and the calls that are under way.
func (s *Store) Close() error { return s.client.Close() }

func (s *Store) markKey() string                { return s.prefix + "mark" }
func (s *Store) valueKey(name string) string    { return s.prefix + "value/" + name }
func (s *Store) partsOf(name string) string     { return s.prefix + "part/" + name + "/" }
func (s *Store) partsAt(name, id string) string { return s.partsOf(name) + id + "/" }

// Since is as [directory.Store] says.
func (s *Store) Since(ctx context.Context, mark int64) (map[string][]byte, int64, error) {
	newest, err := s.get(ctx, s.markKey())
	if err != nil {
		return nil, 0, err
	}
	if newest.Header.Revision < mark {
		mark = 0
	}
	if len(newest.Kvs) == 0 || newest.Kvs[0].ModRevision <= mark {
		return nil, max(mark, 1), nil // the first revision of etcd, which is empty, is 1
	}
	got, err := s.get(ctx, s.valueKey(""), clientv3.WithPrefix(), clientv3.WithMinModRev(mark+1))
	if err != nil {
		return nil, 0, err
	}
	values := make(map[string][]byte, len(got.Kvs))
	for _, kv := range got.Kvs {
		name := strings.TrimPrefix(string(kv.Key), s.valueKey(""))
		value, err := s.resolve(ctx, name, kv.Value, got.Header.Revision)
		if err != nil {
			return nil, 0, err
		}
		values[name] = value
	}
	return values, got.Header.Revision, nil
}

// resolve returns the value that stored stands for, as it was at a revision.
func (s *Store) resolve(ctx context.Context, name string, stored []byte, revision int64) ([]byte, error) {
	switch {
	case len(stored) > 0 && stored[0] == whole:
		return stored[1:], nil
	case len(stored) == 1+idSize && stored[0] == inParts:
		parts := s.partsAt(name, hex.EncodeToString(stored[1:]))
		var value []byte
		for from := parts; ; {
			some, err := s.get(ctx, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd(parts)),
				clientv3.WithRev(revision), clientv3.WithLimit(partsAtOnce))
			if err != nil {
				return nil, err
			}
			for _, part := range some.Kvs { // in ascending order of keys
				value = append(value, part.Value...)
				from = string(part.Key) + "\x00"
			}
			if !some.More {
				return value, nil
			}
		}
	}
	return nil, nil // which no directory takes for anything
}

func (s *Store) get(ctx context.Context, key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.client.Get(ctx, key, options...)
}

// Set is as [directory.Store] says.
func (s *Store) Set(ctx context.Context, name string, value []byte, mark int64) (bool, error) {
	unchanged := clientv3.Compare(clientv3.ModRevision(s.valueKey(name)), "<", mark+1)
	noParts := clientv3.OpDelete(s.partsOf(name), clientv3.WithPrefix())
	switch {
	case value == nil:
		return s.change(ctx, []clientv3.Cmp{unchanged}, clientv3.OpDelete(s.valueKey(name)), noParts)
	case len(value) <= partSize:
		return s.change(ctx, []clientv3.Cmp{unchanged}, s.put(name, whole, value), s.putMark(), noParts)
	}
	return s.setInParts(ctx, name, value, unchanged)
}

func (s *Store) put(name string, kind byte, rest []byte) clientv3.Op {
	return clientv3.OpPut(s.valueKey(name), string(append([]byte{kind}, rest...)))
}

func (s *Store) putMark() clientv3.Op { return clientv3.OpPut(s.markKey(), "") }

// change makes all changes, if all conditions hold.
func (s *Store) change(ctx context.Context, conditions []clientv3.Cmp, changes ...clientv3.Op) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	done, err := s.client.Txn(ctx).If(conditions...).Then(changes...).Commit()
	if err != nil {
		return false, err
	}
	return done.Succeeded, nil
}

// setInParts sets a value that is too large for one request.
func (s *Store) setInParts(ctx context.Context, name string, value []byte, unchanged clientv3.Cmp) (bool, error) {
	id := make([]byte, idSize)
	rand.Read(id)
	parts := s.partsAt(name, hex.EncodeToString(id))
	first := parts + "0000"
	for i := 0; i*partSize < len(value); i++ {
		part := value[i*partSize : min((i+1)*partSize, len(value))]
		if err := s.putPart(ctx, fmt.Sprintf("%s%04d", parts, i), part); err != nil {
			return false, errors.Join(err, s.forget(ctx, parts))
		}
	}
	// Somebody who deleted the value meanwhile has deleted the parts as well.
	complete := clientv3.Compare(clientv3.CreateRevision(first), ">", 0)
	set, err := s.change(ctx, []clientv3.Cmp{unchanged, complete},
		s.put(name, inParts, id), s.putMark(),
		clientv3.OpDelete(s.partsOf(name), clientv3.WithRange(parts)),
		clientv3.OpDelete(clientv3.GetPrefixRangeEnd(parts), clientv3.WithRange(clientv3.GetPrefixRangeEnd(s.partsOf(name)))))
	if err != nil || set {
		return set, err
	}
	return false, s.forget(ctx, parts)
}

func (s *Store) putPart(ctx context.Context, key string, part []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := s.client.Put(ctx, key, string(part))
	return err
}

// forget deletes parts that no value has.
func (s *Store) forget(ctx context.Context, parts string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	_, err := s.client.Delete(ctx, parts, clientv3.WithPrefix())
	return err
}
