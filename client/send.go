package client

import (
	"context"
	"fmt"

	"sphinxmix.example/client/cell"
	"sphinxmix.example/node/directory"
)

// Send sends a message that fits one packet to a service, as one cell without a SURB, and returns when it is among those that
// leave for the gateway next. Nobody says whether it arrives. While no gateway takes the client it waits, until ctx ends. The
// error wraps ErrTooLong, one of those of Request, or ctx's; after ctx's the message may still leave.
func (c *Client) Send(ctx context.Context, m Message) error {
	if room := c.params.MaxMessage(len(m.To)) - cell.HeaderSize; len(m.Body) > room {
		return fmt.Errorf("%w: %d bytes, at most %d fit one packet", ErrTooLong, len(m.Body), room)
	}
	j := &single{to: m.To, body: m.Body, end: make(chan error, 1)}
	jobs := c.jobs // nil while somebody has the job
	for {
		select {
		case jobs <- j:
			jobs = nil
		case err := <-j.end:
			if err == errLost {
				jobs = c.jobs // for the next gateway
				continue
			}
			if err == nil && m.Routed != nil {
				m.Routed(j.path, nil)
			}
			return err
		case <-ctx.Done():
			return c.waiting(ctx)
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
}

// single is a message that is one packet, as a job.
type single struct {
	to   string
	body []byte
	path []directory.NodeID // of the packet; to be read after end
	end  chan error         // gets one each time that the job is done
}

func (j *single) done(err error) { j.end <- err }

func (j *single) packet(c *Client, s *session) (outgoing, error) {
	to, err := c.route(s, j.to)
	if err != nil {
		return outgoing{}, err
	}
	made := cell.Cell{Stream: randomStream(), Last: true, Data: j.body}
	packet, err := c.params.Wrap(nil, nil, to.hops(to.out), []byte(j.to), made.Append(nil))
	if err != nil {
		return outgoing{}, err
	}
	j.path = ids(to.out)
	return outgoing{to.epochByte(), packet}, nil
}
