// noise returns bytes in which nothing repeats soon.
export function noise(size) {
	const bytes = new Uint8Array(size);
	for (let i = 0, state = 1; i < size; i++) {
		state = (Math.imul(state, 1103515245) + 12345) >>> 0;
		bytes[i] = state >>> 24;
	}
	return bytes;
}

// digest returns the FNV-1a hash of bytes, 32 bits in hexadecimal: pages without TLS have no better one.
export function digest(bytes) {
	let hash = 0x811c9dc5;
	for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
	return hash.toString(16).padStart(8, "0");
}
