package socks5

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"unicode"
)

// A failure is how programs are told why there is no connection.
type failure struct {
	cause  error
	reply  byte // SOCKS5
	status int  // HTTP
	text   string
}

// failures are those that have an answer of their own. The first that fits is told.
var failures = []failure{
	{syscall.EACCES, replyNotAllowed, http.StatusForbidden, "The exit's policy does not allow this address."},
	{syscall.ECONNREFUSED, replyRefused, http.StatusBadGateway, "The destination refused the connection."},
	{syscall.EHOSTUNREACH, replyHost, http.StatusBadGateway, "The destination cannot be reached, or there is no such name."},
	{syscall.ENETUNREACH, replyNetwork, http.StatusBadGateway, "The network cannot be reached: the proxy has lost its own, or there is no way to the destination's."},
	{syscall.ETIMEDOUT, replyExpired, http.StatusGatewayTimeout, "The destination did not answer in time."},
	{context.DeadlineExceeded, replyExpired, http.StatusGatewayTimeout, "The connection took too long."},
}

// otherFailure stands for all others: the destination was not tried, for all that is known.
var otherFailure = failure{nil, replyFailure, http.StatusServiceUnavailable, "There is no connection to be had: "}

func failureOf(err error) failure {
	for _, f := range failures {
		if errors.Is(err, f.cause) {
			return f
		}
	}
	return otherFailure
}

// maxText is how much of an error's text is told, in bytes.
const maxText = 400

// says returns the sentence for err.
func (f failure) says(err error) string {
	if f.cause != nil {
		return f.text
	}
	text := strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, err.Error())
	return f.text + strings.ToValidUTF8(text[:min(len(text), maxText)], "") + "."
}
