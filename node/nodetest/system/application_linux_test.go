package system_test

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/websocket"
)

var (
	blue   = color.NRGBA{30, 60, 200, 255}
	yellow = color.NRGBA{250, 200, 0, 255}
)

// application is the web application of testdata/application: a page, a style, two modules, an image, JSON, a POST and a
// WebSocket.
func application(t *testing.T) *httptest.Server {
	picture := image.NewNRGBA(image.Rect(0, 0, 160, 160))
	draw.Draw(picture, image.Rect(0, 0, 80, 160), image.NewUniform(blue), image.Point{}, draw.Src)
	draw.Draw(picture, image.Rect(80, 0, 160, 160), image.NewUniform(yellow), image.Point{}, draw.Src)
	routes := http.NewServeMux()
	routes.Handle("/", http.FileServer(http.Dir("testdata/application")))
	routes.HandleFunc("/picture.png", func(w http.ResponseWriter, _ *http.Request) { assert.NoError(t, png.Encode(w, picture)) })
	routes.HandleFunc("POST /digest", func(w http.ResponseWriter, r *http.Request) {
		hash := fnv.New32a()
		_, err := io.Copy(hash, r.Body)
		assert.NoError(t, err)
		fmt.Fprintf(w, "%08x", hash.Sum32())
	})
	routes.Handle("/echo", websocket.Handler(webSocketHandler))
	server := httptest.NewServer(routes)
	t.Cleanup(server.Close)
	return server
}

// TestBrowserRunsAnApplication of several files, through a proxy and nodes that are processes of their own, under a name that
// the exits' resolver alone knows. All else is denied to the exits.
func TestBrowserRunsAnApplication(t *testing.T) {
	t.Parallel()
	names := newNameServer(t, "application.test.")
	n := start(t, plan{nodes: 4, node: func(int) settings {
		return localExit(settings{"exit.resolver": fmt.Sprintf("%q", names.address)})
	}})
	socks := n.startProxy().socks
	_, port, err := net.SplitHostPort(application(t).Listener.Addr().String())
	require.NoError(t, err)
	site := "application.test:" + port

	b := startBrowser(t, "--proxy-server=socks5://"+socks)
	began := time.Now()
	require.Empty(t, b.open("http://"+site+"/"))
	title := b.awaitTitle("done", "failed")
	t.Logf("the application was there after %v", time.Since(began))
	var log string
	require.NoError(t, b.evaluate(&log, "document.querySelector('#log').textContent"))
	require.Equal(t, "done", title, log)
	hash := fnv.New32a()
	_, _ = hash.Write(linearNoise(300_000)) // never fails
	require.Equal(t, fmt.Sprintf("JSON: what came as JSON\nPOST: %08x\nWebSocket: 100\nat: %s", hash.Sum32(), site), log)

	picture := b.shoot("application")
	for _, c := range []struct {
		what             string
		x, y             int
		red, green, blue uint8
	}{
		{"the style's heading", 5, 5, 20, 90, 110},
		{"the style's page", 5, 100, 240, 240, 232},
		{"the image's left", 72, 184, blue.R, blue.G, blue.B},
		{"the image's right", 152, 184, yellow.R, yellow.G, yellow.B},
		{"what JSON says", 304, 184, 200, 80, 40},
		{"what the script paints after its POST", 496, 184, 160, 60, 140},
		{"what it paints after its WebSocket", 688, 184, 70, 150, 60},
	} {
		require.True(t, is(picture.At(c.x, c.y), c.red, c.green, c.blue), "%s is %v at %d,%d", c.what, picture.At(c.x, c.y), c.x, c.y)
	}

	for url, reply := range map[string]string{"http://nowhere.test/": "(4)", "http://10.0.0.1/": "(2)"} {
		require.Equal(t, "net::ERR_SOCKS_CONNECTION_FAILED", b.open(url))
		status, _, said := curl(t, "--socks5-hostname", socks, url) // which says why
		require.Equal(t, 97, status)
		require.Contains(t, said, reply)
	}
	t.Logf("the exits' resolver was asked, by a browser with some names of its own: %v", names.names())
	require.Positive(t, names.names()["application.test."])
}

// linearNoise is what noise of testdata/application/noise.js returns.
func linearNoise(size int) []byte {
	noise := make([]byte, size)
	for i, state := 0, uint32(1); i < size; i++ {
		state = state*1103515245 + 12345
		noise[i] = byte(state >> 24)
	}
	return noise
}

// welcomesBrowser: the page draws the way there and the way back.
func welcomesBrowser(t *testing.T, socks string) {
	// Whatever the browser might want beside the page, it asks for where nobody is.
	script := fmt.Sprintf(`function FindProxyForURL(url, host) { return host == "welcome.mix" ? "SOCKS5 %s" : "SOCKS5 127.0.0.1:1" }`, socks)
	b := startBrowser(t, "--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,"+base64.StdEncoding.EncodeToString([]byte(script)))
	began := time.Now()
	require.Empty(t, b.open("http://welcome.mix/"))
	b.awaitTitle("Welcome to the mix network")
	t.Logf("the page was there after %v", time.Since(began))
	var names []string
	require.NoError(t, b.evaluate(&names, "[...document.querySelectorAll('svg g .name')].map((name) => name.textContent)"))
	require.Len(t, names, 8, "%q", names)
	require.Equal(t, []string{"you", "welcome.mix"}, []string{names[0], names[4]})
	requireThreeMixes(t, names[1:4], names[5:8])

	picture := b.shoot("welcome")
	there, back := 0, 0
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			switch c := picture.At(x, y); {
			case is(c, 0x0b, 0x6b, 0x85):
				there++
			case is(c, 0xa8, 0x48, 0x0b):
				back++
			}
		}
	}
	require.Greater(t, there, 100, "points of arrows there")
	require.Greater(t, back, 100, "points of arrows back")
}
