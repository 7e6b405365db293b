package directory

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sphinxmix.example/tao"
)

func TestAStampProvesWhenTheDirectoryMadeAView(t *testing.T) {
	v := headerOf(7)
	v.Published = start.Add(17 * time.Second)
	view := v.sign(directoryKey, encodeRest([]byte("policy"), [][]byte{signed(t, 1, describe(1))}))
	read, err := parse(view)
	require.NoError(t, err)
	require.LessOrEqual(t, len(read.Stamp), tao.MaxStampSize)

	made, err := ParseStamp(read.Stamp, public(directoryKey))
	require.NoError(t, err)
	require.Equal(t, start.Add(17*time.Second), made)

	_, err = ParseStamp(read.Stamp, public(identity(201)))
	require.ErrorIs(t, err, ErrSignature, "a stamp of another directory")
	_, err = ParseStamp(read.Stamp, make(ed25519.PublicKey, ed25519.PublicKeySize))
	require.ErrorIs(t, err, ErrKey)
}

func TestEveryByteOfAStampIsSigned(t *testing.T) {
	requireAllSigned(t, viewOf(1)[:stampSize], func(b []byte) error {
		_, err := ParseStamp(b, public(directoryKey))
		return err
	})
}

// What a directory's key has signed for another purpose is no stamp, whatever it says.
func TestNothingElseThatADirectorySignsIsAStamp(t *testing.T) {
	body := viewOf(1)[ed25519.SignatureSize:stampSize]
	for _, context := range []string{
		descriptorContext, leaveContext, networkContext, "sphinxmix view v1\x00", "", "sphinxmix policy v1\x00", "sphinxmix enrolment v1\x00",
	} {
		_, err := ParseStamp(sign(directoryKey, context, body), public(directoryKey))
		require.ErrorIs(t, err, ErrSignature, "%q", context)
	}
	_, err := ParseStamp(viewOf(1), public(directoryKey))
	require.ErrorIs(t, err, ErrView, "a whole view")
}

// The stamp is what the directory signed, so that another rest with it must show.
func TestAStampGoesWithOneView(t *testing.T) {
	one, other := viewOf(1, signed(t, 1, describe(1))), viewOf(1, signed(t, 2, describe(2)))
	_, err := parse(append(one[:stampSize:stampSize], other[stampSize:]...))
	require.ErrorIs(t, err, ErrSignature)
}
