package welcome

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"unicode/utf8"

	"sphinxmix.example/tao"
)

// visit is what the page shows. Out and Back are empty where the way is not known.
type visit struct {
	Exit      string // its id
	Out, Back []Mix
	Attested  tao.Kind // by what: the mixes, or where the way is not known, this exit; zero where they are not
}

const textUnknown = `%s You left it at the exit

    %s

This page does not know which way you came, and that is the point: an exit
sees the mix before it, and nothing of who sent a packet.

%s
`

const textKnown = `%s

%s
The first packet of your connection went this way, and carried the way back
for an answer with it. Every other packet takes a fresh path between the
gateway and the exit.

%s
How does this page know? An exit cannot: it sees the mix before it, and
nothing of who sent a packet. But 'mixnet up' runs your proxy and this exit in
one process. The proxy, which chose the path, has left it there for this page,
under a random number with which your connection began.

%s
`

// textColumns is how wide the page for a terminal is.
const textColumns = 78

// text returns the page for a terminal of 80 columns.
func (v *visit) text() string {
	answer := wrapped(v.Question()+": "+v.Answer(), textColumns)
	if len(v.Out) == 0 {
		return fmt.Sprintf(textUnknown, v.Title(), v.Exit, answer)
	}
	var list strings.Builder
	for _, m := range v.Mixes() {
		fmt.Fprintf(&list, "  %-8s %-22s %s\n", m.Name, m.Address, m.ID)
	}
	return fmt.Sprintf(textKnown, v.Title(), v.picture(), list.String(), answer)
}

// Mixes returns those on the paths, each once.
func (v *visit) Mixes() []Mix {
	var mixes []Mix
	for _, m := range slices.Concat(v.Out, v.Back) {
		if !slices.Contains(mixes, m) {
			mixes = append(mixes, m)
		}
	}
	return mixes
}

// picture draws the paths with box-drawing characters: the way there above, the way back below.
//
//	┌─────┐    ┌───────┐    ┌───────┐    ┌───────┐    ┌─────────────┐
//	│ you │ ─▶ │ mix 5 │ ─▶ │ mix 2 │ ─▶ │ mix 4 │ ─▶ │ welcome.mix │
//	└─────┘    └───────┘    └───────┘    └───────┘    └─────────────┘
//	   ▲        gateway                    exit              │
//	   │       ┌───────┐    ┌───────┐    ┌───────┐           │
//	   └────── │ mix 5 │ ◀─ │ mix 1 │ ◀─ │ mix 3 │ ◀─────────┘
//	           └───────┘    └───────┘    └───────┘
func (v *visit) picture() string {
	var c canvas
	const gap = 4
	column, widest := 0, 0
	for _, m := range v.Mixes() {
		widest = max(widest, utf8.RuneCountInString(m.Name))
	}
	column = c.box(column, 0, "you", 3)
	you := column / 2
	var columns []int
	for _, m := range v.Out {
		c.put(column+1, 1, "─▶")
		column += gap
		columns = append(columns, column)
		column = c.box(column, 0, m.Name, widest)
	}
	c.put(column+1, 1, "─▶")
	site := column + gap + (utf8.RuneCountInString(Host)+4)/2
	c.box(column+gap, 0, Host, utf8.RuneCountInString(Host))
	c.put(columns[0]+(widest+4-len("gateway"))/2, 3, "gateway")
	c.put(columns[len(columns)-1]+(widest+4-len("exit"))/2, 3, "exit")

	// Replies may take another number of hops; their boxes end below the last one above.
	end := columns[len(columns)-1] + widest + 4
	c.put(you, 3, "▲")
	c.put(you, 4, "│")
	c.put(site, 3, "│")
	c.put(site, 4, "│")
	c.put(end+1, 5, "◀"+strings.Repeat("─", site-end-2)+"┘")
	for i, m := range v.Back {
		start := end - (i+1)*(widest+4) - i*gap
		c.box(start, 4, m.Name, widest)
		if i < len(v.Back)-1 {
			c.put(start-gap+1, 5, "◀─")
		} else {
			c.put(you, 5, "└"+strings.Repeat("─", start-you-2))
		}
	}
	return c.String()
}

// canvas is lines of characters, which grow with what is put on them.
type canvas struct{ lines [][]rune }

// put writes text from a column and a line on.
func (c *canvas) put(column, line int, text string) {
	for line >= len(c.lines) {
		c.lines = append(c.lines, nil)
	}
	for _, r := range text {
		for column >= len(c.lines[line]) {
			c.lines[line] = append(c.lines[line], ' ')
		}
		c.lines[line][column] = r
		column++
	}
}

// box draws a box of three lines around a text of so many columns at most, and returns the column after it.
func (c *canvas) box(column, line int, text string, width int) int {
	rule := strings.Repeat("─", width+2)
	c.put(column, line, "┌"+rule+"┐")
	c.put(column, line+1, fmt.Sprintf("│ %-*s │", width, text))
	c.put(column, line+2, "└"+rule+"┘")
	return column + width + 4
}

func (c *canvas) String() string {
	var out strings.Builder
	for _, line := range c.lines {
		fmt.Fprintln(&out, strings.TrimRight(string(line), " "))
	}
	return out.String()
}

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageStyle string
)

var pageTemplate = htmltemplate.Must(htmltemplate.New("welcome").Parse(pageHTML))

// pagePolicy lets a browser use what is in the page and nothing else, and of that only its style.
var pagePolicy = "default-src 'none'; img-src data:; style-src " + sourceOf(pageStyle) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// sourceOf returns what a Content-Security-Policy calls a style of these bytes.
func sourceOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// html returns the page for a browser.
func (v *visit) html() []byte {
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, struct {
		*visit
		Host                string
		Style               htmltemplate.CSS
		BoxWidth, BoxHeight int
		drawing
	}{v, Host, htmltemplate.CSS(pageStyle), boxWidth, boxHeight, v.draw()})
	if err != nil {
		panic(err) // the template and its data are parts of the program
	}
	return out.Bytes()
}

// drawing is the picture for a browser: boxes, and arrows between them, as an SVG of that size.
type drawing struct {
	Width, Height int
	Boxes         []drawnBox
	Arrows        []drawnArrow
}

// drawnBox is a box of boxWidth by boxHeight with its upper left corner at X, Y.
type drawnBox struct {
	X, Y        int
	Class       string // "you", "mix" or "site"
	Name, Under string
}

// drawnArrow is a line along a path in the notation of SVG.
type drawnArrow struct{ Path, Class string }

const (
	boxWidth, boxHeight = 114, 44
	boxGap              = 34
	rowGap              = 84 // between the way there and the way back
	drawnMargin         = 4
	arrowGap            = 5
)

// draw lays the picture out as picture does.
func (v *visit) draw() drawing {
	if len(v.Out) == 0 {
		return drawing{}
	}
	x := func(column int) int { return drawnMargin + column*(boxWidth+boxGap) }
	const top, below = drawnMargin, drawnMargin + boxHeight + rowGap
	last := len(v.Out) + 1
	d := drawing{Width: x(last) + boxWidth + drawnMargin, Height: below + boxHeight + drawnMargin}
	d.Boxes = append(d.Boxes, drawnBox{x(0), top, "you", "you", "your programs"})
	for i, m := range v.Out {
		under := ""
		switch i {
		case 0:
			under = "gateway"
		case len(v.Out) - 1:
			under = "exit"
		}
		d.Boxes = append(d.Boxes, drawnBox{x(1 + i), top, "mix", m.Name, under})
	}
	d.Boxes = append(d.Boxes, drawnBox{x(last), top, "site", Host, "this page"})
	for i := range last {
		d.Arrows = append(d.Arrows, drawnArrow{fmt.Sprintf("M%d %dH%d", x(i)+boxWidth, top+boxHeight/2, x(i+1)-arrowGap), "out"})
	}
	middle := below + boxHeight/2
	for i, m := range v.Back {
		column := last - 1 - i
		under := ""
		if i == len(v.Back)-1 {
			under = "gateway"
		}
		d.Boxes = append(d.Boxes, drawnBox{x(column), below, "mix", m.Name, under})
		from := fmt.Sprintf("M%d %d", x(column+1), middle)
		if i == 0 {
			from = fmt.Sprintf("M%d %dV%d", x(last)+boxWidth/2, top+boxHeight+24, middle)
		}
		d.Arrows = append(d.Arrows, drawnArrow{fmt.Sprintf("%sH%d", from, x(column)+boxWidth+arrowGap), "back"})
	}
	d.Arrows = append(d.Arrows, drawnArrow{
		fmt.Sprintf("M%d %dH%dV%d", x(last-len(v.Back)), middle, x(0)+boxWidth/2, top+boxHeight+24+arrowGap), "back",
	})
	d.Height += 20 // what stands under the lower boxes
	return d
}
