// Package tao binds the keys of mixes to machines.
package tao
