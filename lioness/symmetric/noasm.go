//go:build !amd64 || purego

package symmetric

func available() []implementation { return []implementation{portable} }

func xorStream(dst, src []byte, key *[StreamKeySize]byte) { xorStreamPortable(dst, src, key) }

func xorStreams(streams []Stream) {
	for _, s := range streams {
		xorStream(s.Dst, s.Src, s.Key)
	}
}

type hashLanes struct{}

func newHashLanes() hashLanes { return hashLanes{} }

// sum leaves all hashings to x/crypto.
func (hashLanes) sum([]Hashing) int { return 0 }
