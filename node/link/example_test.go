package link_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"

	"sphinxmix.example/node/link"
)

func Example() {
	const greeting link.Kind = 1
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error)
	go func() {
		cfg := link.Config{Key: private, FrameSize: 5}
		served <- link.Serve(ctx, ln, cfg, func(_ context.Context, c *link.Conn) {
			body := make([]byte, 5)
			kind, arg, err := c.ReadFrame(body)
			fmt.Println(kind == greeting, arg, string(body), err, c.Peer() == nil)
		})
	}()

	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := link.Dial(ctx, conn, public, link.Config{FrameSize: 5})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = c.WriteFrame(greeting, 7, []byte("hello"))
	_ = c.Flush()
	_, _, err = c.ReadFrame(make([]byte, 5))
	fmt.Println(err)

	cancel()
	fmt.Println(<-served)
	// Output:
	// true 7 hello <nil> true
	// EOF
	// <nil>
}
