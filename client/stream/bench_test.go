package stream_test

import (
	"io"
	"testing"
	"time"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/client/stream"
)

// BenchmarkCell is what one cell of data costs at both ends together, with its share of acknowledgements and SURBs, on a
// download that never waits: Write, Next, Receive and Read.
func BenchmarkCell(b *testing.B) {
	now := time.Now()
	config := stream.Config{Client: true, Room: room, SURBSize: surbSize, Timeout: time.Second}
	client := stream.New(config, sessionID, now)
	config.Client = false
	exit := stream.New(config, sessionID, now)
	surb := make([]byte, surbSize)
	go func() {
		c, err := exit.Accept(b.Context())
		if err != nil {
			return
		}
		c.Open()
		piece := make([]byte, 16<<10)
		for err == nil {
			_, err = c.Write(piece)
		}
	}()
	go func() {
		c, err := client.Dial(b.Context(), "x")
		if err == nil {
			io.Copy(io.Discard, c)
		}
	}()
	<-client.Wake()
	b.SetBytes(room)
	b.ReportAllocs()
	down := 0
	for b.Loop() {
		for target := down + 1; down < target; {
			now = now.Add(100 * time.Microsecond)
			for next, ok := client.Next(now); ok; next, ok = client.Next(now) {
				c := cell.Cell{Stream: sessionID, Sequence: next.Number, Data: next.Data}
				for range next.SURBs {
					c.SURBs = append(c.SURBs, surb)
				}
				if err := exit.Receive(now, c); err != nil {
					b.Fatal(err)
				}
			}
			if next, ok := exit.Next(now); ok {
				if err := client.Receive(now, cell.Cell{Stream: sessionID, Sequence: next.Number, Data: next.Data}); err != nil {
					b.Fatal(err)
				}
				down++
			}
		}
	}
	client.Fail(stream.ErrClosed)
	exit.Fail(stream.ErrClosed)
}
