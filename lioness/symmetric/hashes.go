package symmetric

// Hashing is one BLAKE2b to be computed: Sum, 1 to 64 bytes, is set to the digest of its own size of Message under Key (0
// to 64 bytes; none for the plain hash).
type Hashing struct{ Sum, Key, Message []byte }

// Hashes computes many BLAKE2b at once. It works in its own memory, so that no call allocates, and erases that memory
// before a call returns.
//
// Use NewHashes. Hashes is not safe for concurrent use.
type Hashes struct{ one *Hash }

// NewHashes returns a Hashes.
func NewHashes() *Hashes { return &Hashes{NewHash()} }

// Sum computes all hashings. It is fastest where they agree in all three sizes.
func (h *Hashes) Sum(all []Hashing) {
	for i := range all {
		h.one.Reset(len(all[i].Sum), all[i].Key)
		h.one.Write(all[i].Message)
		h.one.Sum(all[i].Sum[:0])
	}
	h.one.Wipe()
}
