package main

import "testing"

func TestEveryErrorOfADirectorysConfigurationHasALineAndARemedy(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []wrong
	}{
		{"nothing", "", []wrong{{": identity: ", "is missing", "mixnet init directory"}}},
		{"no such key file", "identity = \"other.key\"\n", []wrong{{":1: identity: ", "there is no file", "backup"}}},
		{"listen", goodDirectory + "listen = \"everywhere\"\n", []wrong{{":2: listen: ", "not host:port", "203.0.113.5:8080"}}},
		{"store", goodDirectory + "store = \"sql:x\"\n", []wrong{{":2: store: ", "no store", "bolt:FILE"}}},
		{"store that is half a word", goodDirectory + "store = \"memory:\"\n", []wrong{{":2: store: ", "no store", "bolt:FILE"}}},
		{"store at no host", goodDirectory + "store = \"etcd://\"\n", []wrong{{":2: store: ", "not of the form", "bolt:FILE"}}},
		{"store without a file", goodDirectory + "store = \"bolt:\"\n", []wrong{{":2: store: ", "no file", "bolt:FILE"}}},
		{"store in no folder", goodDirectory + "store = \"bolt:none/directory.db\"\n", []wrong{{":2: store: ", "none", ""}}},
		{"store in a file", goodDirectory + "store = \"bolt:config.toml/directory.db\"\n", []wrong{{":2: store: ", "not a directory", "user"}}},
		{"store that is a folder", goodDirectory + "store = \"bolt:.\"\n", []wrong{{":2: store: ", "no file", "another"}}},
		{"no hops", goodDirectory + "[network]\nmax_hops = 0\n", []wrong{{":3: network.max_hops: ", "is 0", "longest path"}}},
		{"too many hops", goodDirectory + "[network]\nmax_hops = 99\n", []wrong{{":3: network.max_hops: ", "99", "longest path"}}},
		{"payload", goodDirectory + "[network]\npayload_size = 3\n", []wrong{{":3: network.payload_size: ", "3", "bytes"}}},
		{"epoch", goodDirectory + "[network]\nepoch = \"1500ms\"\n", []wrong{{":3: network.epoch: ", "whole seconds", "whole seconds"}}},
		{"mean delay", goodDirectory + "[network]\nmean_delay = \"1h\"\n", []wrong{{":3: network.mean_delay: ", "1h", "milliseconds"}}},
		{"lifetime", goodDirectory + "[view]\nlifetime = \"1s\"\n", []wrong{{":3: view.lifetime: ", "2 s", "duration"}}},
		{"nodes", goodDirectory + "[view]\nmax_nodes = -1\nmax_new_nodes = 10000000\n", []wrong{{":3: view.max_nodes: ", "-1", "number"}, {":4: view.max_new_nodes: ", "10000000", "number"}}},
		{"drain", goodDirectory + "drain = \"-5s\"\n", []wrong{{":2: drain: ", "negative", "0s"}}},
		{"a node's", goodNode, []wrong{{":2: address: ", "no such setting", ""}, {":4: ", "no section [directory]", ""}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := writeConfig(t, test.text)
			_, err := loadDirectory(file)
			requireErrors(t, file, err, test.want)
		})
	}
}
