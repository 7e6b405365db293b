// Package system has tests alone: of networks in which every directory, every node and most clients are processes of
// their own, on Linux. What they assert holds for the program as an operator runs it, with a configuration file, ports,
// signals and crashes. What a test says about packets and times in detail is better said in package nodetest, in virtual
// time. Programs that others wrote, a browser among them, use such networks as their users would; where SYSTEM_SHOTS names a
// folder, what the browser shows is kept there.
//
// The nodes listen on addresses of their own in 127.0.0.0/8, and so do the clients, since a mix tells senders apart by
// their addresses. What one node sends another comes from 127.0.0.1, though, so that to each other all nodes together are
// one sender. The tests take two to three minutes. go test -short leaves them out. With SPHINX_LONG=1 they do more, and take
// half an hour, which wants -timeout 1h. Under the race detector they run with SPHINX_LONG=1 alone, and then the nodes and
// clients have it too.
package system
