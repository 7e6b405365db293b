package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"sphinxmix.example/client"
)

func sendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "send [MESSAGE...]",
		Short: "Send a message through the network and print the reply",
		Long: `Send a message through the network to a service, and print its reply. The message is the arguments, a file, or standard
input where neither is given. A message larger than a packet is split and joined. Of a file, only sizes and digests are
printed, unless --output names a file for the reply.`,
		Example: `  mixnet send hello
  mixnet send --file picture.png --output back.png
  date | mixnet send`,
	}
	file := cmd.Flags().String("file", "", "send this file")
	output := cmd.Flags().String("output", "", "write the reply to this file")
	to := cmd.Flags().String("to", "echo", "service to send to")
	timeout := cmd.Flags().Duration("timeout", 5*time.Minute, "give up after this long")
	through := accessFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *timeout <= 0 {
			return fmt.Errorf("--timeout %v: must be positive", *timeout)
		}
		message, err := readMessage(cmd, args, *file)
		if err != nil {
			return err
		}
		var kept *newFile
		if *output != "" { // before anything is sent in vain
			if kept, err = createFile(*output); err != nil {
				return fmt.Errorf("--output: %w", err)
			}
			defer kept.discard()
		}
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), *timeout, fmt.Errorf("not finished after %v; allow longer with --timeout", *timeout))
		defer cancel()
		c, err := through.dial(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		start := time.Now()
		line := newStatusLine(os.Stderr)
		reply, err := c.Request(ctx, client.Message{To: *to, Body: message, Progress: func(done, total int) {
			if total > 1 {
				line.progress("sent and answered", int64(len(message))*int64(done)/int64(total), int64(len(message)), start)
			}
		}})
		line.clear()
		if err != nil {
			return explain(err)
		}
		if kept != nil {
			if err := kept.keep(reply); err != nil {
				return fmt.Errorf("--output: %w", err)
			}
		} else if *file == "" {
			if line := newStatusLine(os.Stdout); line.terminal {
				reply := strings.Map(visible, string(reply)) // whoever replies must not command the terminal
				fmt.Fprintln(cmd.OutOrStdout(), strings.TrimSuffix(reply, "\n"))
			} else if _, err := cmd.OutOrStdout().Write(reply); err != nil {
				return err
			}
		}
		return report(cmd.ErrOrStderr(), message, reply, *to, time.Since(start))
	}
	return cmd
}

// visible replaces what a terminal would act on.
func visible(r rune) rune {
	if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
		return '\ufffd'
	}
	return r
}

// readMessage returns what is to be sent.
func readMessage(cmd *cobra.Command, args []string, file string) ([]byte, error) {
	from, name := cmd.InOrStdin(), "standard input"
	switch {
	case len(args) > 0 && file != "":
		return nil, errors.New("a message and --file were given: choose one")
	case len(args) > 0:
		return []byte(strings.Join(args, " ")), nil
	case cmd.Flags().Changed("file"):
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		from, name = opened, file
	case newStatusLine(os.Stdin).terminal:
		fmt.Fprintln(cmd.ErrOrStderr(), "Type the message; end it with Ctrl-D on a line of its own.")
	}
	message, err := readAll(cmd.Context(), io.LimitReader(from, client.MaxMessage+1))
	if err != nil {
		return nil, err
	}
	if len(message) > client.MaxMessage {
		return nil, fmt.Errorf("%s is too long: a message has at most %d MiB; split it, for example with 'split -b %dM'", name, client.MaxMessage>>20, client.MaxMessage>>20)
	}
	return message, nil
}

// report says what went and what came back. The echo service must return what was sent.
func report(out io.Writer, message, reply []byte, to string, took time.Duration) error {
	sent, back := sha256.Sum256(message), sha256.Sum256(reply)
	fmt.Fprintf(out, "sent  %8d bytes  SHA-256 %x\nreply %8d bytes  SHA-256 %x\nin %v", len(message), sent, len(reply), back, took.Round(time.Millisecond))
	if len(message) >= 100_000 {
		fmt.Fprintf(out, ", %.2f MB/s", float64(len(message))/1e6/took.Seconds())
	}
	fmt.Fprintln(out)
	if to == "echo" && sent != back {
		return errors.New("the echo differs from what was sent")
	}
	return nil
}
