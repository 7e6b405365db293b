package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// table writes lines for people, in two columns: a name, and what there is to say of it. It is written when it is
// flushed.
type table struct{ *tabwriter.Writer }

func newTable(to io.Writer) table { return table{tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)} }

// line adds one. What it says may have parts that come from anybody.
func (t table) line(name, format string, arguments ...any) {
	fmt.Fprintf(t, "%s\t%s\n", clean(name), clean(fmt.Sprintf(format, arguments...)))
}
