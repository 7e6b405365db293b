package system_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shotsVariable names a folder in the environment where screenshots are to stay.
const shotsVariable = "SYSTEM_SHOTS"

// browser is a Chromium without a window, with one page, which orders in the DevTools protocol drive, over a pipe: it needs
// no port. It ends with the test.
type browser struct {
	*process
	orders  *os.File      // JSON, with a zero byte after each
	replies chan devTools // closed at its end
	last    int           // number of an order
	page    string        // session, in the words of the protocol
}

// devTools is what the protocol sends, either way.
type devTools struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// object is one of JSON.
type object = map[string]any

// startBrowser starts one that does nothing by itself, as far as it can be told so, resolves no names, and reaches the
// network as flags say.
func startBrowser(t *testing.T, flags ...string) *browser {
	t.Helper()
	path := installed(t, "chromium", "chromium-browser", "google-chrome")
	folder, err := os.MkdirTemp("", "mixnet-browser-")
	require.NoError(t, err)
	t.Cleanup(func() { // its processes do not all end at once
		await(t, "the browser leaves its folder", func() bool { return os.RemoveAll(folder) == nil })
	})
	theirs, orders, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { orders.Close() })
	said, says, err := os.Pipe()
	require.NoError(t, err)
	command := exec.Command(path, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-default-apps", "--disable-extensions", "--disable-breakpad", "--no-pings",
		"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
		"--user-data-dir=" + filepath.Join(folder, "profile"), "--remote-debugging-pipe",
	}, append(flags, "about:blank")...)...)
	command.ExtraFiles = []*os.File{theirs, says} // 3 and 4
	b := &browser{process: begin(t, folder, command), orders: orders, replies: make(chan devTools, 1)}
	require.NoError(t, theirs.Close())
	require.NoError(t, says.Close())
	t.Cleanup(func() {
		if b.runs() { // and it ends the processes that it has started
			_ = b.try(nil, "Browser.close", nil) // whether it says so before it ends or not
			await(t, "the browser ends", func() bool { return !b.runs() })
		}
	})
	go func() {
		defer close(b.replies)
		defer said.Close()
		for from := bufio.NewReader(said); ; {
			text, err := from.ReadBytes(0)
			if err != nil {
				return
			}
			var m devTools
			if err := json.Unmarshal(text[:len(text)-1], &m); err == nil && m.ID != 0 { // events have none
				b.replies <- m
			}
		}
	}()
	var made struct {
		TargetID  string `json:"targetId"`
		SessionID string `json:"sessionId"`
	}
	b.order(&made, "Target.createTarget", object{"url": "about:blank"})
	b.order(&made, "Target.attachToTarget", object{"targetId": made.TargetID, "flatten": true})
	b.page = made.SessionID
	b.order(nil, "Emulation.setDeviceMetricsOverride", object{"width": 840, "height": 900, "deviceScaleFactor": 1, "mobile": false})
	return b
}

// try has the browser do something and decodes what comes of it into result, if that is not nil.
func (b *browser) try(result any, method string, params object) error {
	b.last++
	text, err := json.Marshal(devTools{ID: b.last, Session: b.page, Method: method, Params: params})
	if err != nil {
		return err
	}
	if _, err := b.orders.Write(append(text, 0)); err != nil {
		return err
	}
	select {
	case reply, more := <-b.replies:
		switch {
		case !more:
			return errors.New("the browser has ended")
		case reply.ID != b.last:
			return fmt.Errorf("reply %d to order %d", reply.ID, b.last)
		case reply.Error != nil:
			return errors.New(reply.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(reply.Result, result)
	case <-time.After(patience):
		return errors.New("the browser does not answer")
	}
}

// order is try of what must work.
func (b *browser) order(result any, method string, params object) {
	b.t.Helper()
	require.NoError(b.t, b.try(result, method, params), method)
}

// open goes to a page and returns what the browser says is wrong with it, if anything.
func (b *browser) open(url string) (failure string) {
	b.t.Helper()
	var result struct {
		ErrorText string `json:"errorText"`
	}
	b.order(&result, "Page.navigate", object{"url": url})
	return result.ErrorText
}

// evaluate returns the value of an expression in the page.
func (b *browser) evaluate(value any, expression string) error {
	var result struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
	}
	if err := b.try(&result, "Runtime.evaluate", object{"expression": expression, "returnByValue": true}); err != nil {
		return err
	}
	return json.Unmarshal(result.Result.Value, value)
}

// awaitTitle waits until the page has one of these titles and is there whole, and returns which. A browser shows a title
// as soon as it has come, and what follows may come much later.
func (b *browser) awaitTitle(titles ...string) (title string) {
	b.t.Helper()
	await(b.t, fmt.Sprintf("the page has one of the titles %q", titles), func() bool {
		require.True(b.t, b.runs(), "the browser has ended")
		if b.evaluate(&title, "document.readyState == 'complete' ? document.title : ''") != nil {
			return false // between two pages
		}
		for _, one := range titles {
			if title == one {
				return true
			}
		}
		return false
	})
	return title
}

// shoot takes a picture of the page, which it keeps under a name.
func (b *browser) shoot(name string) image.Image {
	b.t.Helper()
	var shot struct {
		Data []byte `json:"data"`
	}
	b.order(&shot, "Page.captureScreenshot", object{"format": "png"})
	folder := b.t.TempDir()
	if kept := os.Getenv(shotsVariable); kept != "" {
		folder = kept
	}
	require.NoError(b.t, os.MkdirAll(folder, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+".png"), shot.Data, 0o644))
	picture, err := png.Decode(bytes.NewReader(shot.Data))
	require.NoError(b.t, err)
	require.Equal(b.t, image.Pt(840, 900), picture.Bounds().Size())
	return picture
}

// is reports whether a colour is this one.
func is(c color.Color, red, green, blue uint8) bool {
	return color.NRGBAModel.Convert(c) == color.NRGBA{red, green, blue, 255}
}
