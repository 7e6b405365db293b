package vectors

import (
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/testvectors"
)

// TestREADMETellsTheFiles compares what the READMEs say of the files with what they hold.
func TestREADMETellsTheFiles(t *testing.T) {
	text := func(name string) string {
		data, err := os.ReadFile("../../testvectors/" + name)
		require.NoError(t, err)
		return string(data)
	}
	readme, reference := text("README.md"), text("reference/README.md")

	total := 0
	for name, cases := range counts {
		if path.Dir(name) == "reference" {
			total += cases
			continue
		}
		if name == "accumulated.json" {
			cases++ // the one that is skipped
		}
		require.Contains(t, readme, fmt.Sprintf("| `%s` | %d |", name, cases))
	}
	require.Contains(t, readme, fmt.Sprintf("| `reference/` | %d |", total))
	for _, row := range strings.Split(reference, "\n") {
		cells := strings.Split(row, " | ")
		if len(cells) != 3 || !strings.HasPrefix(row, "| `") {
			continue
		}
		stated := 0
		for _, number := range strings.FieldsFunc(cells[1], func(r rune) bool { return r == '+' || r == ',' || r == ' ' }) {
			var n int
			_, err := fmt.Sscan(number, &n)
			require.NoError(t, err, row)
			stated += n
		}
		for name, cases := range counts {
			for _, file := range strings.Split(strings.TrimPrefix(cells[0], "| "), ", ") {
				pattern := "reference/" + strings.Replace(strings.Trim(file, "`"), "NN", "??", 1)
				if match, err := path.Match(pattern, name); err == nil && match {
					stated -= cases
				}
			}
		}
		require.Zero(t, stated, row)
	}

	for flag, explained := range negativeFlags {
		require.Contains(t, readme, fmt.Sprintf("| `%s` | %s | %s |", flag, explained.Bug, explained.Effect))
	}
	for _, c := range negativeCases(t) {
		for _, stage := range stagesOf(c) {
			require.Contains(t, readme, fmt.Sprintf("`%s`", stage), c.Name)
		}
	}
}

func stagesOf(c testvectors.Negative) (list []string) {
	if c.Unwrap != nil {
		for _, packet := range c.Unwrap.Packets {
			if packet.Stage != "" {
				list = append(list, packet.Stage)
			}
		}
	}
	if c.Reply != nil {
		list = append(list, c.Reply.Stage)
	}
	if c.Parse != nil {
		list = append(list, c.Parse.Stage)
	}
	return list
}
