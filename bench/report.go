package bench

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"
)

// Report is what a run found out. All times are in nanoseconds of processor time, but for those of many cores.
type Report struct {
	Time         time.Time     `json:"time"`
	Machine      Machine       `json:"machine"`
	Rounds       int           `json:"rounds"`
	Slice        time.Duration `json:"slice_ns"` // what an operation is called for in one round, at least once
	Unit         Summary       `json:"unit_ns"`  // U, in the rounds that count: those in which the machine was quiet
	UnitOfAll    Summary       `json:"unit_of_all_ns"`
	QuietLimit   float64       `json:"quiet_limit_ns"` // what U is at most where the machine is called quiet
	Quiet        float64       `json:"quiet"`          // the part of all rounds that were quiet
	Took         time.Duration `json:"took_ns"`        // for the operations, on the wall's clock; 0: there were none
	Load         *Load         `json:"load,omitempty"` // what else ran meanwhile; nil: not known
	Measurements []Measurement `json:"measurements"`
	Cores        []Cores       `json:"cores,omitempty"`
	Shares       []Share       `json:"shares,omitempty"`
	Peers        []Peer        `json:"peers,omitempty"`
	Missing      []Missing     `json:"missing,omitempty"`
}

// Measurement is what the rounds of one operation that count came to.
type Measurement struct {
	Name string `json:"name"`
	Subject
	Nanoseconds Summary `json:"ns"` // one packet or message
	Units       Summary `json:"u"`  // the same, each round divided by its own U
	Rounds      []Round `json:"rounds"`
}

// Round is one slice of an operation, and the mean of the slices of U before and after.
type Round struct {
	Calls       int     `json:"calls"`
	Nanoseconds float64 `json:"ns"`      // one call
	Unit        float64 `json:"unit_ns"` // one U
	Counts      bool    `json:"counts"`  // whether the machine was quiet
}

// Cores is what so many goroutines open at once, each on a thread of its own, in batches of 64 for r = 5, P = 1024.
type Cores struct {
	Cores  int          `json:"cores"`
	Free   bool         `json:"free"` // in the rounds that count, the cores had nothing else to do
	Rate   Summary      `json:"packets_per_second"`
	Got    Summary      `json:"got"`                          // of as many cores' time, what others left; 0: not known
	Each   Summary      `json:"packets_per_processor_second"` // 0: not known
	Rounds []CoresRound `json:"rounds"`
}

// CoresRound is what so many cores did in one round.
type CoresRound struct {
	Rate   float64 `json:"packets_per_second"`
	Got    float64 `json:"got"`
	Counts bool    `json:"counts"`
}

// Share is how a hop's time divides into its primitives, in U per packet.
type Share struct {
	Name    string  `json:"name"` // of the measurement that is divided
	Payload int     `json:"payload"`
	Items   int     `json:"items,omitempty"`
	Whole   float64 `json:"u"`
	Parts   []Part  `json:"parts"`
}

// Part is what one primitive takes by itself, for all that a hop does with it.
type Part struct {
	Primitive string  `json:"primitive"`
	Units     float64 `json:"u"`
}

// Peer is another implementation, measured by its own program, in several runs between measurements of U.
type Peer struct {
	Peer        string      `json:"peer"`
	Version     string      `json:"version"`
	Operation   string      `json:"operation"` // "unwrap", one hop that relays; "wrap", a sender; ...
	Hops        int         `json:"hops,omitempty"`
	Payload     int         `json:"payload,omitempty"` // bytes
	Packet      int         `json:"packet,omitempty"`  // bytes
	Note        string      `json:"note"`              // what is compared
	Nanoseconds Summary     `json:"ns"`
	Units       Summary     `json:"u"`
	Rounds      []PeerRound `json:"rounds"`
}

// PeerRound is what a peer's program measured in one round, and U around that run of the program.
type PeerRound struct {
	Nanoseconds float64 `json:"ns"`
	Unit        float64 `json:"unit_ns"`
	Counts      bool    `json:"counts"`
}

// Missing is what could not be measured, and why.
type Missing struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// Busy returns the names of the measurements for which rounds count in which the machine was busy, as there were too
// few others.
func (r *Report) Busy() (names []string) {
	for _, m := range r.Measurements {
		if slices.ContainsFunc(m.Rounds, func(one Round) bool { return one.Counts && one.Unit > r.QuietLimit }) {
			names = append(names, m.Name)
		}
	}
	return names
}

// Find returns the measurement of the operation with this name, or nil where there is none.
func (r *Report) Find(name string) *Measurement {
	for i := range r.Measurements {
		if r.Measurements[i].Name == name {
			return &r.Measurements[i]
		}
	}
	return nil
}

// WriteJSON writes all of it, every round included.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t")
	return encoder.Encode(r)
}

// ReadJSON reads what WriteJSON wrote. A report in which nothing was measured is an error.
func ReadJSON(from io.Reader) (*Report, error) {
	r := new(Report)
	if err := json.NewDecoder(from).Decode(r); err != nil {
		return nil, err
	}
	if len(r.Measurements) == 0 && len(r.Cores) == 0 {
		return nil, errors.New("no measurement is in it")
	}
	return r, nil
}
