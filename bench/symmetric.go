package bench

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20"

	"sphinxmix.example/lioness"
	"sphinxmix.example/lioness/symmetric"
)

// keystream is ChaCha20 over so many bytes: one message, or count of them, with keys of their own, in one call.
func keystream(length, count int) maker {
	s := Subject{Kind: "ChaCha20", Size: length, Implementation: own, Items: count}
	return maker{s, func() (*Operation, error) {
		streams := make([]symmetric.Stream, s.items())
		for i := range streams {
			message := noise(length)
			streams[i] = symmetric.Stream{Dst: message, Src: message, Key: (*[32]byte)(noise(32))}
		}
		op := &Operation{Subject: s, bytes: len(streams) * length}
		op.call = func() error { symmetric.XORKeyStreams(streams); return nil }
		if count == 0 {
			op.call = func() error { symmetric.XORKeyStream(streams[0].Dst, streams[0].Src, streams[0].Key); return nil }
		}
		op.verify = func() error {
			for _, one := range streams {
				before := bytes.Clone(one.Src)
				want, err := xcryptoKeystream(before, one.Key)
				if err != nil {
					return err
				}
				if op.call() != nil || !bytes.Equal(one.Dst, want) || op.call() != nil || !bytes.Equal(one.Dst, before) {
					return errWrong
				}
			}
			return nil
		}
		return op, nil
	}}
}

// keystreamOther is x/crypto's ChaCha20 for the same job.
func keystreamOther(length int) maker {
	s := Subject{Kind: "ChaCha20", Size: length, Implementation: "xcrypto"}
	return maker{s, func() (*Operation, error) {
		key, message, nonce := noise(32), noise(length), make([]byte, chacha20.NonceSize)
		return &Operation{Subject: s, bytes: length, call: func() error {
			cipher, err := chacha20.NewUnauthenticatedCipher(key, nonce)
			if err == nil {
				cipher.XORKeyStream(message, message)
			}
			return err
		}}, nil
	}}
}

func xcryptoKeystream(message []byte, key *[32]byte) ([]byte, error) {
	cipher, err := chacha20.NewUnauthenticatedCipher(key[:], make([]byte, chacha20.NonceSize))
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(message))
	cipher.XORKeyStream(out, message)
	return out, nil
}

// keyAndSum are the sizes with which Sphinx hashes a message of so many bytes: for the key schedule, for γ, and in
// LIONESS.
func keyAndSum(length int) (key, sum int) {
	switch length {
	case scheduleInput:
		return 32, 32
	case betaSize:
		return 32, 16
	}
	return 64, 32
}

// digest is keyed BLAKE2b over so many bytes: one message, or count of them, with keys of their own, in one call.
func digest(length, count int) maker {
	s := Subject{Kind: "BLAKE2b", Size: length, Implementation: own, Items: count}
	return maker{s, func() (*Operation, error) {
		keySize, sumSize := keyAndSum(length)
		hashings := make([]symmetric.Hashing, s.items())
		for i := range hashings {
			hashings[i] = symmetric.Hashing{Sum: make([]byte, sumSize), Key: noise(keySize), Message: noise(length)}
		}
		hashes, op := symmetric.NewHashes(), &Operation{Subject: s, bytes: len(hashings) * length}
		op.call = func() error { hashes.Sum(hashings); return nil }
		op.verify = func() error {
			for _, one := range hashings {
				hash, err := blake2b.New(len(one.Sum), one.Key)
				if err != nil {
					return err
				}
				hash.Write(one.Message)
				if !bytes.Equal(one.Sum, hash.Sum(nil)) {
					return errWrong
				}
			}
			return nil
		}
		return op, nil
	}}
}

// digestOther is x/crypto's BLAKE2b for the same job, which allocates a digest for each key.
func digestOther(length int) maker {
	s := Subject{Kind: "BLAKE2b", Size: length, Implementation: "xcrypto"}
	return maker{s, func() (*Operation, error) {
		keySize, sumSize := keyAndSum(length)
		key, message, out := noise(keySize), noise(length), make([]byte, 0, sumSize)
		return &Operation{Subject: s, bytes: length, call: func() error {
			hash, err := blake2b.New(sumSize, key)
			if err != nil {
				return err
			}
			hash.Write(message)
			hash.Sum(out)
			return nil
		}}, nil
	}}
}

// wideBlock is LIONESS as a hop uses it: a block of so many bytes decrypted with a key of its own; or count of them in
// one call.
func wideBlock(size, count int) maker {
	s := Subject{Kind: "LIONESS", Size: size, Implementation: own, Items: count}
	return maker{s, func() (*Operation, error) {
		keys, blocks := make([]*[lioness.KeySize]byte, s.items()), make([][]byte, s.items())
		for i := range blocks {
			keys[i], blocks[i] = (*[lioness.KeySize]byte)(noise(lioness.KeySize)), noise(size)
		}
		batch, op := lioness.NewBatch(), &Operation{Subject: s, bytes: len(blocks) * size}
		op.call = func() error { return batch.Decrypt(keys, blocks) }
		op.verify = func() error {
			for i := range blocks {
				before := bytes.Clone(blocks[i])
				if err := op.call(); err != nil || bytes.Equal(blocks[i], before) {
					return fmt.Errorf("the cipher does nothing: %w", errors.Join(err, errWrong))
				}
				back, err := lioness.New(keys[i]).AppendEncrypt(nil, blocks[i])
				if err != nil || !bytes.Equal(back, before) {
					return fmt.Errorf("encryption does not undo decryption: %w", errors.Join(err, errWrong))
				}
			}
			return nil
		}
		return op, nil
	}}
}

func noise(size int) []byte {
	all := make([]byte, size)
	rand.Read(all)
	return all
}
