//go:build race

package vectors

func init() { slow = true }
