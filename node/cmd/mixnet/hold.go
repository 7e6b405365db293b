package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sphinxmix.example/node/internal/durable"
)

// holderFile is the file that says for people which process uses a folder.
const holderFile = "mixnet.pid"

// held is a folder that this process uses alone.
type held struct {
	lock *durable.FolderLock
	file string
}

// hold keeps other processes from using the folder of a key: two that have one identity harm each other, and everyone
// who talks to them. The error says which process has it. The lock ends with the process, whatever its end.
func hold(folder, role string) (*held, error) {
	file := filepath.Join(folder, holderFile)
	lock, err := durable.Lock(folder)
	if errors.Is(err, durable.ErrInUse) {
		return nil, &remedied{fmt.Sprintf("%s is in use by %s", folder, holder(file)), "stop that one, or give each a folder of its own"}
	}
	if err == nil {
		if err = os.WriteFile(file, fmt.Appendf(nil, "%d %s\n", os.Getpid(), role), 0o600); err == nil {
			return &held{lock, file}, nil
		}
		_ = lock.Unlock()
	}
	return nil, &remedied{fmt.Sprintf("%s cannot be written to (%v)", folder, reason(err)), "give it to the user that runs this, on a disk with space that can be written to"}
}

// holder names the process that a holder's file names.
func holder(file string) string {
	text, _ := os.ReadFile(file) // may not be there yet
	pid, role, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if _, err := strconv.Atoi(pid); err != nil {
		return "another process"
	}
	return fmt.Sprintf("process %s (%s)", pid, strings.Map(visible, role))
}

// release lets others use the folder.
func (h *held) release() {
	_ = os.Remove(h.file) // it only tells who holds a lock that is gone
	_ = h.lock.Unlock()
}
