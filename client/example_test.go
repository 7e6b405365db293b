package client_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"sphinxmix.example/client"
	"sphinxmix.example/client/socks5"
	"sphinxmix.example/node/directory"
)

// A client needs the address of a network's directory and the key by which to believe it; 'mixnet up' writes both into a
// file. This example is not run, since it would have to find a network.
func Example() {
	key, err := hex.DecodeString("e2a6…") // 32 bytes
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(ctx, client.Config{
		Directory: &directory.Client{URLs: []string{"http://127.0.0.1:7000"}, Key: key},
		Cover:     client.Cover{Loops: 0.1, Drops: 0.1}, // a packet every five seconds that says nothing
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	reply, err := c.Request(ctx, client.Message{To: "echo", Body: []byte("hello, mixnet")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply)
	fmt.Printf("%d of %d loops were lost\n", c.Cover().LoopsLost, c.Cover().LoopsSent)
}

// A connection to a host that runs nothing of this, and a proxy by which other programs make theirs. This
// example is not run either.
func ExampleClient_Dial() {
	key, err := hex.DecodeString("e2a6…")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(ctx, client.Config{Directory: &directory.Client{URLs: []string{"http://127.0.0.1:7000"}, Key: key}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	conn, err := c.Dial(ctx, "", "welcome.mix:80") // of no isolation: it may share a session with all others of none
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(os.Stdout, conn); err != nil {
		log.Fatal(err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:1080")
	if err != nil {
		log.Fatal(err)
	}
	programs := socks5.Server{Dial: c.Dial}
	if err := programs.Serve(ctx, listener); err != nil { // until ctx ends
		log.Fatal(err)
	}
}
