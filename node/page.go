package node

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

// The page is one document that asks for nothing but /stats and /healthz. What it shows of them it sets as text.
var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageStyle string
	//go:embed page_charts.js
	pageCharts string
	//go:embed page.js
	pageRest string
)

var pageScript = pageCharts + pageRest

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is the operator's page, made once.
type page struct {
	html   []byte
	policy string // the Content-Security-Policy, which allows this page's script and style and no other
}

func newPage() *page {
	var (
		html    bytes.Buffer
		reasons [drops]struct{ Name, Meaning, Advice string }
	)
	for reason := range drops {
		meaning, advice := reason.Explain()
		reasons[reason].Name, reasons[reason].Meaning, reasons[reason].Advice = reason.String(), meaning, advice
	}
	err := pageTemplate.Execute(&html, struct {
		Style   template.CSS
		Script  template.JS
		Reasons any
	}{template.CSS(pageStyle), template.JS(pageScript), reasons[:]})
	if err != nil {
		panic(err) // the template and its data are parts of the program
	}
	return &page{
		html: html.Bytes(),
		policy: "default-src 'none'; connect-src 'self'; img-src data:; script-src " + sourceOf(pageScript) +
			"; style-src " + sourceOf(pageStyle) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
			"require-trusted-types-for 'script'; trusted-types 'none'",
	}
}

// sourceOf returns what a policy calls a script or style of these bytes.
func sourceOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// ServeHTTP implements http.Handler.
func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(p.html)
}
