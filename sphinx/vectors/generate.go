package vectors

import (
	"bytes"
	"encoding/json"
	"fmt"

	"sphinxmix.example/sphinx"
	"sphinxmix.example/testvectors"
)

const sourceName = "sphinxmix.example/testvectors/generate"

// Own returns the project's own vector files by name. They are the same at every call. The hashes over 10,000 and over
// 1,000,000 packets take minutes: they are computed where long is set, and otherwise taken from the file that there is.
func Own(long bool) (map[string][]byte, error) {
	accumulated, err := makeAccumulated(long)
	if err != nil {
		return nil, err
	}
	forward, surb := makePackets()
	files := map[string][]byte{}
	for name, write := range map[string]func() ([]byte, error){
		"forward.json": func() ([]byte, error) {
			return encode("forward messages, hop by hop", nil, forward)
		},
		"surb.json": func() ([]byte, error) {
			return encode("single-use reply blocks and a reply through each, hop by hop", nil, surb)
		},
		"kdf.json": func() ([]byte, error) {
			return encode("the keys of a hop, and the LIONESS key of a reply", nil, makeKDFs())
		},
		"negative.json": func() ([]byte, error) {
			return encode("what must be refused, each for one reason, and at which stage", negativeFlags, makeNegatives())
		},
		"accumulated.json": func() ([]byte, error) {
			return encode("SHA-256 over what becomes of many packets", nil, accumulated)
		},
	} {
		if files[name], err = write(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return files, nil
}

func encode[Case any](note string, flags map[string]testvectors.Flag, cases []Case) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err := encoder.Encode(testvectors.File[Case]{
		Source: sourceName, Note: note, Schedule: 1, Flags: flags, Count: len(cases), Cases: cases,
	})
	return out.Bytes(), err
}

// makePackets returns the forward and SURB cases. Path lengths, payload sizes and the lengths of messages and names
// go through their extremes; what lies between is drawn.
func makePackets() (forward []testvectors.Forward, surbs []testvectors.SURB) {
	s := setting{schedule: sphinx.BoundSchedule, own: true}
	for _, network := range []struct {
		maxHops  int
		hops     []int
		payloads []int
	}{
		{1, []int{1}, []int{64, 65, 256, 1024}},
		{3, []int{1, 2, 3}, []int{64, 100, 1024}},
		{5, []int{1, 2, 3, 4, 5}, []int{64, 512}},
		{5, []int{3, 5}, []int{2048, 65535, 65536}},
		{10, []int{1, 5, 10}, []int{64, 192}},
		{50, []int{1, 2, 50}, []int{64}},
	} {
		for _, hops := range network.hops {
			for i, payload := range network.payloads {
				p := sphinx.Params{MaxHops: network.maxHops, PayloadSize: payload}
				v := shape{maxHops: network.maxHops, hops: hops, payload: payload}
				label := fmt.Sprintf("r%d-n%d-p%d", v.maxHops, hops, payload)
				from := newSource(label)

				v.name, v.nameSize = "forward-"+label, []int{1, 127, 16}[(hops+i)%3]
				v.nameSize = min(v.nameSize, p.MaxMessage(0))
				v.message = from.edge(0, p.MaxMessage(v.nameSize))
				forward = append(forward, s.drawForward(from, v))

				v.name, v.nameSize = "surb-"+label, from.edge(1, p.MaxClientID(hops))
				v.message = from.edge(0, p.MaxReply())
				surbs = append(surbs, s.drawSURB(from, v))
			}
		}
	}
	return forward, surbs
}

func makeKDFs() (list []testvectors.KDF) {
	s := newSource("kdf")
	for i, macData := range []int{0, 1, 48, 112, 128, 176, 1616} {
		random := s.bytes(32)
		alpha := multiply(append([]byte{9}, make([]byte, 31)...), random)
		if i == 1 {
			alpha = s.bytes(32) // any u: half of them belong to the curve's twist
		}
		v, err := deriveKDF(fmt.Sprintf("kdf-%d", i), s.bytes(32), alpha, s.bytes(macData), s.bytes(32))
		must(err)
		list = append(list, v)
	}
	return list
}
