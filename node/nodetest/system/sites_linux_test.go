package system_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/websocket"
)

// listenOnLoopback returns a listener that ends with the test.
func listenOnLoopback(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	return listener
}

// refusing returns an address on loopback where no connection is taken, and nobody else can listen until the test ends:
// it belongs to a socket that does not.
func refusing(t *testing.T) (address string) {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(socket) })
	require.NoError(t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(socket)
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// gitSettings are the user's: no work goes on when a command of git has ended.
const gitSettings = `[user]
	name = Somebody
	email = somebody@example.org
[maintenance]
	auto = false
[gc]
	auto = 0
`

// goesGit: a clone by git's own server, and a push back to it.
func goesGit(t *testing.T, socks string) {
	git := installed(t, "git")
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, ".gitconfig"), []byte(gitSettings), 0o600))
	in := func(repository string, arguments ...string) string {
		t.Helper()
		return strings.TrimSpace(mustDo(t, folder, append([]string{"git", "-C", repository}, arguments...)...))
	}
	files := map[string][]byte{"read.me": []byte("a project\n"), "large": noise(2, 1_000_000), "below/here": noise(3, 1)}
	origin := filepath.Join(folder, "origin")
	mustDo(t, folder, "git", "init", "--quiet", "--bare", "--initial-branch=main", "served/project.git")
	in("served/project.git", "config", "http.receivepack", "true")
	mustDo(t, folder, "git", "init", "--quiet", "--initial-branch=main", origin)
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(origin, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(origin, name), content, 0o600))
		in("origin", "add", ".")
		in("origin", "commit", "--quiet", "-m", name)
	}
	in("origin", "push", "--quiet", "../served/project.git", "main")

	server := httptest.NewServer(&cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{
		"GIT_PROJECT_ROOT=" + filepath.Join(folder, "served"), "GIT_HTTP_EXPORT_ALL=1", "HOME=" + folder,
	}})
	defer server.Close()
	proxied := "http.proxy=socks5h://" + socks
	began := time.Now()
	mustDo(t, folder, "git", "-c", proxied, "clone", "--quiet", server.URL+"/project.git", "clone")
	t.Logf("cloned in %v", time.Since(began))
	require.Equal(t, in("origin", "rev-parse", "HEAD"), in("clone", "rev-parse", "HEAD"))
	for name, content := range files {
		got, err := os.ReadFile(filepath.Join(folder, "clone", name))
		require.NoError(t, err)
		requireEqual(t, content, got, name)
	}
	in("clone", "commit", "--quiet", "--allow-empty", "-m", "back")
	in("clone", "-c", proxied, "push", "--quiet", "origin", "main")
	require.Equal(t, in("clone", "rev-parse", "HEAD"), in("served/project.git", "rev-parse", "main"))
}

// webSocketHandler sends every message back.
func webSocketHandler(conn *websocket.Conn) {
	var message []byte
	for websocket.Message.Receive(conn, &message) == nil && websocket.Message.Send(conn, message) == nil {
	}
}

// webSocketEcho returns the address of a server that does.
func webSocketEcho(t *testing.T) string {
	server := httptest.NewServer(websocket.Handler(webSocketHandler))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// echoes sends messages by WebSocket in a connection to a server that sends them back, and compares.
func echoes(t *testing.T, conn net.Conn, server string, messages int) {
	t.Helper()
	config, err := websocket.NewConfig("ws://"+server+"/", "http://"+server+"/")
	require.NoError(t, err)
	began := time.Now()
	socket, err := websocket.NewClient(config, conn)
	require.NoError(t, err)
	require.NoError(t, socket.SetDeadline(time.Now().Add(patience)))
	sizes := mathrand.New(mathrand.NewPCG(1, 2))
	var sent [][]byte
	for i := range messages {
		sent = append(sent, noise(byte(i), 1+sizes.IntN(5000)))
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		for _, message := range sent {
			assert.NoError(t, websocket.Message.Send(socket, message))
		}
	})
	for i, message := range sent {
		var got []byte
		require.NoError(t, websocket.Message.Receive(socket, &got))
		requireEqual(t, message, got, i)
	}
	sending.Wait()
	t.Logf("%d messages were back after %v", messages, time.Since(began))
}

// shellServer is an SSH server on loopback with a shell for whoever has its key.
type shellServer struct {
	port       string
	key, known string // files: the user's private key, and the server's public one
}

// newShellServer starts one that takes a single connection with a single session.
func newShellServer(t *testing.T) *shellServer {
	t.Helper()
	_, hostKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	host, err := ssh.NewSignerFromKey(hostKey)
	require.NoError(t, err)
	_, userKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	user, err := ssh.NewSignerFromKey(userKey)
	require.NoError(t, err)
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), user.PublicKey().Marshal()) {
			return nil, fmt.Errorf("somebody else's key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)

	listener := listenOnLoopback(t)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	folder := t.TempDir()
	s := &shellServer{port: port, key: filepath.Join(folder, "key"), known: filepath.Join(folder, "known")}
	block, err := ssh.MarshalPrivateKey(userKey, "")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.key, pem.EncodeToMemory(block), 0o600))
	line := knownhosts.Line([]string{knownhosts.Normalize(listener.Addr().String())}, host.PublicKey())
	require.NoError(t, os.WriteFile(s.known, []byte(line+"\n"), 0o600))
	var serving sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		if conn, err := listener.Accept(); err == nil {
			defer conn.Close()
			assert.NoError(t, serveShell(conn, config))
		}
	})
	return s
}

// serveShell serves one connection, until its session's shell has ended.
func serveShell(conn net.Conn, config *ssh.ServerConfig) error {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return err
	}
	go ssh.DiscardRequests(requests)
	offered, ok := <-channels
	if !ok {
		return io.ErrUnexpectedEOF
	}
	channel, asked, err := offered.Accept()
	if err != nil {
		return err
	}
	for request := range asked {
		shell := request.Type == "shell"
		if request.WantReply {
			if err := request.Reply(shell, nil); err != nil {
				return err
			}
		}
		if !shell {
			continue
		}
		command := exec.Command("sh")
		command.Stdin, command.Stdout, command.Stderr = channel, channel, channel
		if err := command.Run(); err != nil {
			return err
		}
		if _, err := channel.SendRequest("exit-status", false, make([]byte, 4)); err != nil {
			return err
		}
		return channel.Close()
	}
	return io.ErrUnexpectedEOF
}

// nameServer is a DNS server that knows one name, which is at 127.0.0.1.
type nameServer struct {
	address string
	name    string // with a dot at its end

	mu    sync.Mutex
	asked map[string]int // how often for which name; guarded by mu
}

func newNameServer(t *testing.T, name string) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &nameServer{address: conn.LocalAddr().String(), name: name, asked: make(map[string]int)}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		conn.Close()
		serving.Wait()
	})
	serving.Go(func() {
		packet := make([]byte, 1500)
		for n, from, err := conn.ReadFrom(packet); err == nil; n, from, err = conn.ReadFrom(packet) {
			var query dnsmessage.Message
			if err := query.Unpack(packet[:n]); !assert.NoError(t, err) || !assert.Len(t, query.Questions, 1) {
				return
			}
			answer, err := s.answer(query)
			assert.NoError(t, err)
			_, err = conn.WriteTo(answer, from)
			assert.NoError(t, err)
		}
	})
	return s
}

func (s *nameServer) answer(query dnsmessage.Message) ([]byte, error) {
	question := query.Questions[0]
	s.mu.Lock()
	s.asked[question.Name.String()]++
	s.mu.Unlock()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: query.ID, Response: true, RecursionAvailable: true},
		Questions: query.Questions,
	}
	switch {
	case question.Name.String() != s.name:
		m.RCode = dnsmessage.RCodeNameError
	case question.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	return m.Pack()
}

// names returns for which names the server was asked how often.
func (s *nameServer) names() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[string]int)
	for name, times := range s.asked {
		names[name] = times
	}
	return names
}
