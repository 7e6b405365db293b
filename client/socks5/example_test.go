package socks5_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"sphinxmix.example/client/socks5"
)

// A proxy that refuses everything, and a program that learns so.
func ExampleServer() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &socks5.Server{Dial: func(_ context.Context, isolation, address string) (net.Conn, error) {
		fmt.Printf("asked for %s, with %d digits of isolation\n", address, len(isolation))
		return nil, syscall.EACCES
	}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, ln) }()

	proxy := &url.URL{Scheme: "socks5", User: url.UserPassword("alice", "secret"), Host: ln.Addr().String()}
	program := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	_, err = program.Get("http://welcome.mix/")
	fmt.Println(err != nil)

	cancel()
	fmt.Println(<-ended)
	// Output:
	// asked for welcome.mix:80, with 64 digits of isolation
	// true
	// <nil>
}
