package x25519

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKernelsTellNothing reads the assembly. No instruction takes anything from a vector or mask register to where it
// could decide about a jump or an address; no function has a frame, where something could stay; and all vector registers
// and the mask of scalars' bits are clear at each return.
func TestKernelsTellNothing(t *testing.T) {
	source, err := os.ReadFile("kernels_amd64.s")
	require.NoError(t, err)
	allowed := []*regexp.Regexp{
		regexp.MustCompile(`^(MOVQ|ANDQ|SHRQ|SHLQ|SUBQ|NOTQ) ([$]|memory\+0\(FP\)|[ABCD][XL]\b)`), // between general registers
		regexp.MustCompile(`^JCC step\d*$|^RET$|^VZEROUPPER$|^VZEROALL$`),
		regexp.MustCompile(`^KMOVW [A-D]X, K[2-6]$`), // constants
		regexp.MustCompile(`^VPBROADCASTQ DX, [YZ]0$`),
		regexp.MustCompile(`^VPTESTMQ \d+\(AX\)\(BX\*1\), [YZ]0, K1$`),
		regexp.MustCompile(`^KXORW K1, K1, K1$`),
		regexp.MustCompile(`^VMOVQ DX, X0$`),                              // how far the step's bit is from the highest
		regexp.MustCompile(`^VMOVDQ(U|[AU]64) \S+, (\d*\(AX\)|[YZ]\d+)$`), // to memory and vector registers
		regexp.MustCompile(`^VPBROADCASTQ \w+<>\+0\(SB\), [YZ]\d+$`),
		regexp.MustCompile(`^VP(ADDQ|SUBQ|XORQ?|ANDQ?|CMPGTQ|SRLQ|SLLQ|MULUDQ|MADD52[LH]UQ|BLENDMQ|UNPCK[LH]QDQ|ERMQ)(\.BCST)? .*, [YZ]\d+$`),
	}
	register := regexp.MustCompile(`\b[YZ](\d+)\b`)
	address := regexp.MustCompile(`\(([^)]*)\)`)
	inside, returns := false, 0
	dirty := make(map[string]bool) // registers that the function has used and not cleared
	for line := range strings.Lines(string(source)) {
		line, _, _ = strings.Cut(line, "//")
		line = strings.Join(strings.Fields(line), " ")
		switch {
		case strings.HasPrefix(line, "TEXT "):
			require.Contains(t, line, "(SB), NOSPLIT, $0-8")
			inside = true
		case !inside || line == "" || strings.HasSuffix(line, ":") || strings.HasPrefix(line, "DATA ") || strings.HasPrefix(line, "GLOBL "):
		default:
			require.True(t, slices.ContainsFunc(allowed, func(r *regexp.Regexp) bool { return r.MatchString(line) }), line)
			for _, match := range address.FindAllStringSubmatch(line, -1) {
				require.Contains(t, []string{"AX", "BX*1", "SB", "FP"}, match[1], line)
			}
			numbers := register.FindAllStringSubmatch(line, -1)
			for _, number := range numbers {
				dirty[number[1]] = true
			}
			if strings.HasSuffix(line, ", K1") {
				dirty["K1"] = true
			}
			switch {
			case len(numbers) == 3 && line == strings.ReplaceAll("VPXORQ Z?, Z?, Z?", "?", numbers[0][1]):
				delete(dirty, numbers[0][1])
			case line == "KXORW K1, K1, K1":
				delete(dirty, "K1")
			case line == "VZEROALL":
				for number := range 16 {
					delete(dirty, strconv.Itoa(number))
				}
			case line == "RET":
				require.Empty(t, dirty)
				inside = false
				returns++
			}
		}
	}
	require.Equal(t, 5, returns)
}
