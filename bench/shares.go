package bench

// shares divides the hops whose primitives were all measured: one packet alone, and batches of 64, for payloads of 1024
// and 32768 bytes.
func shares(r *Report) []Share {
	var all []Share
	for _, payload := range []int{1024, 32768} {
		for _, items := range []int{0, mainBatch} {
			whole := unwrap(mainHops, payload).Subject
			if items > 0 {
				whole = unwrapBatch(mainHops, payload, items).Subject
			}
			if share, ok := shareOf(r, whole); ok {
				all = append(all, share)
			}
		}
	}
	return all
}

// shareOf adds up what the primitives of a hop take by themselves: two X25519; BLAKE2b over the key schedule's input,
// over β, and twice over the payload; ChaCha20 for the keys, for β, and twice for the payload. A packet in a batch of
// 64 shares its X25519 with all others, and the rest with 7.
func shareOf(r *Report, whole Subject) (share Share, ok bool) {
	multiplications, lanes := 1, 0
	if whole.Items > 0 {
		multiplications, lanes = whole.Items, 8
	}
	rest := lionessRest(whole.Payload)
	ok = true
	units := func(s Subject) float64 {
		m := r.Find(s.Name())
		if m == nil {
			ok = false
			return 0
		}
		return m.Units.Median
	}
	hash := func(size int) float64 { return units(digest(size, lanes).Subject) }
	stream := func(size int) float64 { return units(keystream(size, lanes).Subject) }
	share = Share{
		Name: whole.Name(), Payload: whole.Payload, Items: whole.Items, Whole: units(whole),
		Parts: []Part{
			{"X25519", 2 * units(multiply("any", multiplications).Subject)},
			{"BLAKE2b", hash(scheduleInput) + hash(betaSize) + 2*hash(rest)},
			{"ChaCha20", stream(keysSize) + stream(betaStreamSize) + 2*stream(rest)},
		},
	}
	return share, ok
}

// Primitives is what the parts take together, in U per packet.
func (s Share) Primitives() (sum float64) {
	for _, p := range s.Parts {
		sum += p.Units
	}
	return sum
}

// Fractions returns what each part is of the hop, and what is in none of them; or, where the parts took longer by
// themselves than the hop, what each is of their sum. Together they are 1.
func (s Share) Fractions() (parts []float64, rest float64) {
	whole := max(s.Whole, s.Primitives())
	for _, p := range s.Parts {
		parts = append(parts, p.Units/whole)
	}
	return parts, max(0, 1-s.Primitives()/whole)
}
