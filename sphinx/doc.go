// Package sphinx is the Sphinx mix packet format (Danezis & Goldberg, IEEE S&P 2009) over X25519, ChaCha20, BLAKE2b and
// LIONESS: packets that all look alike, of which each hop can open one layer and link nothing.
//
// Three names do most of the work. [Params] says how long a path may be and how big a payload is; its Wrap makes a
// packet for a path of hops. An [Unwrapper] holds one hop's key and opens packets, alone or in batches. A [SURB] is a
// single-use reply block that its maker's correspondent sends one reply with, without knowing where to; the maker opens
// that reply with the [ReplyKey] that belongs to it.
//
// Packets and SURBs that are made together, by WrapBatch and NewSURBs, take less time each, as those that an Unwrapper opens
// together do: processors with a vector unit compute eight at once. Eight are nearly as good as any number. Nothing here
// allocates in the long run but for what it returns.
//
// Guarantees: every packet of a network has one size whatever its path, its direction and its maker; a changed header
// is refused at the next honest hop; a changed payload becomes noise; a replay is refused before its payload is
// touched; nothing that comes in from outside makes this package panic; secrets are erased after use and never printed.
//
// Not given here: this package does no I/O and holds no packet back. Hiding when packets come and go is the mix's part.
// A first hop and a last hop that work together can mark a packet by spoiling its payload, and the group is not
// post-quantum.
//
// The letters in comments are those of the paper: α the group element, β the routing information, γ its MAC, δ the
// payload, s a hop's shared secret, ρ μ π b τ what is derived from it, κ = 16 bytes the security parameter.
package sphinx
