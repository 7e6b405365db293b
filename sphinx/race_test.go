//go:build race

package sphinx

func init() { instrumented = true }
