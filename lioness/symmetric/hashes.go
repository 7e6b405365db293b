package symmetric

// Hashing is one BLAKE2b to be computed: Sum, 1 to 64 bytes, is set to the digest of its own size of Message under Key (0
// to 64 bytes; none for the plain hash).
type Hashing struct{ Sum, Key, Message []byte }

// Hashes computes many BLAKE2b at once. It works in its own memory, so that no call allocates, and erases that memory
// before a call returns.
//
// Use NewHashes. Hashes is not safe for concurrent use.
type Hashes struct {
	one   *portableHash
	lanes hashLanes
}

// NewHashes returns a Hashes.
func NewHashes() *Hashes { return &Hashes{newPortableHash(), newHashLanes()} }

// Sum computes all hashings. It is fastest where eight that follow each other agree in all three sizes. One's Sum must not
// be the memory of another one's Key or Message. It panics on other sizes than Hashing's, which are the caller's mistake.
func (h *Hashes) Sum(all []Hashing) {
	used := false
	for len(all) > 0 {
		n := h.lanes.sum(all)
		if n == 0 {
			n, used = 1, true
			h.one.sum(&all[0])
		}
		all = all[n:]
	}
	if used {
		h.one.wipe()
	}
}
