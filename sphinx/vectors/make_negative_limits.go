package vectors

import (
	"fmt"

	"sphinxmix.example/testvectors"
)

func (m *negatives) limits() {
	for _, v := range []testvectors.NegativeBuild{
		{Call: "wrap", Field: "max_hops", Good: new(1), Bad: new(0), Reason: "params"},
		{Call: "wrap", Field: "max_hops", Good: new(50), Bad: new(51), Reason: "params"},
		{Call: "wrap", Field: "payload_size", Good: new(64), Bad: new(63), Reason: "params"},
		{Call: "wrap", Field: "payload_size", Good: new(65536), Bad: new(65537), Reason: "params"},
		{Call: "wrap", Field: "path_length", Good: new(1), Bad: new(0), Reason: "path"},
		{Call: "wrap", Field: "path_length", MaxHops: 3, Good: new(3), Bad: new(4), Reason: "path"},
		{Call: "wrap", Field: "path_length", MaxHops: 50, Good: new(50), Bad: new(51), Reason: "path"},
		{Call: "wrap", Field: "address_first_byte", Good: new(255), Bad: new(254), Reason: "path"},
		{Call: "wrap", Field: "destination_length", Good: new(1), Bad: new(0), Reason: "destination"},
		{Call: "wrap", Field: "destination_length", Good: new(127), Bad: new(128), Reason: "destination"},
		{Call: "wrap", Field: "destination_length", PayloadSize: 64, Good: new(45), Bad: new(46), Reason: "message"},
		{Call: "wrap", Field: "message_length", PayloadSize: 64, DestinationLength: 2, Good: new(43), Bad: new(44), Reason: "message"},
		{Call: "wrap", Field: "message_length", PayloadSize: 1000, DestinationLength: 127, Good: new(854), Bad: new(855), Reason: "message"},
		{Call: "wrap", Field: "message_length", PayloadSize: 65536, DestinationLength: 16, Good: new(65501), Bad: new(65502), Reason: "message"},
		{Call: "wrap", Field: "random_length", MaxHops: 3, PathLength: 2, Good: new(95), Bad: new(94), Reason: "random"},
		{Call: "new_surb", Field: "path_length", MaxHops: 4, Good: new(4), Bad: new(5), Reason: "path"},
		{Call: "new_surb", Field: "path_length", Good: new(1), Bad: new(0), Reason: "path"},
		{Call: "new_surb", Field: "address_first_byte", Good: new(255), Bad: new(254), Reason: "path"},
		{Call: "new_surb", Field: "client_id_length", Good: new(1), Bad: new(0), Reason: "client_id"},
		{Call: "new_surb", Field: "client_id_length", MaxHops: 1, Good: new(31), Bad: new(32), Reason: "client_id"},
		{Call: "new_surb", Field: "client_id_length", MaxHops: 6, PathLength: 6, Good: new(31), Bad: new(32), Reason: "client_id"},
		{Call: "new_surb", Field: "client_id_length", MaxHops: 6, PathLength: 4, Good: new(95), Bad: new(96), Reason: "client_id"},
		{Call: "new_surb", Field: "client_id_length", Good: new(127), Bad: new(128), Reason: "client_id"},
		{Call: "new_surb", Field: "random_length", MaxHops: 3, PathLength: 2, Good: new(126), Bad: new(125), Reason: "random"},
		{Call: "use", Field: "message_length", PayloadSize: 64, Good: new(46), Bad: new(47), Reason: "message"},
		{Call: "use", Field: "message_length", PayloadSize: 65536, Good: new(65518), Bad: new(65519), Reason: "message"},
	} {
		comment := fmt.Sprintf("The limit of %s lies between %d and %d.", v.Field, *v.Good, *v.Bad)
		if v.Field == "random_length" {
			comment = fmt.Sprintf("The random source ends after %d of the %d bytes that are drawn.", *v.Bad, *v.Good)
		}
		name := fmt.Sprintf("%s-%s-%d", v.Call, v.Field, *v.Bad)
		for _, stated := range []struct {
			letter string
			value  int
		}{{"r", v.MaxHops}, {"p", v.PayloadSize}, {"n", v.PathLength}, {"d", v.DestinationLength}} {
			if stated.value != 0 {
				name += fmt.Sprintf("-%s%d", stated.letter, stated.value)
			}
		}
		m.add(name, comment, testvectors.Negative{Build: &v}, "Limit")
	}
}

func (m *negatives) lowOrderKeys() {
	for _, point := range lowOrderPoints() {
		for _, call := range []string{"wrap", "new_surb"} {
			m.add(fmt.Sprintf("%s-public-key-%s", call, point.name), "The public key of a hop is of low order, so that anybody knows s.",
				testvectors.Negative{Build: &testvectors.NegativeBuild{
					Call: call, Field: "public_key", PublicKey: point.u, Reason: "key",
				}}, "LowOrderKey")
		}
	}
}
