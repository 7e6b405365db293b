//go:build !unix

package main

import "io/fs"

func openToOthers(fs.FileMode) bool { return false }

func accessible(string) error { return nil }

func surviveFullFiles() {}
