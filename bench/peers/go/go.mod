module sphinxmix.example/bench/peers/go

go 1.26.0

require (
	github.com/btcsuite/btcd/btcec/v2 v2.3.4
	github.com/katzenpost/core v0.0.12
	github.com/lightningnetwork/lightning-onion v1.2.1-0.20240712235311-98bd56499dfb
	golang.org/x/sys v0.49.0
)

require (
	git.schwanenlied.me/yawning/aez.git v0.0.0-20180408160647-ec7426b44926 // indirect
	git.schwanenlied.me/yawning/bsaes.git v0.0.0-20190320102049-26d1add596b6 // indirect
	github.com/aead/chacha20 v0.0.0-20180709150244-8b13a72661da // indirect
	github.com/btcsuite/btcd v0.22.0-beta.0.20220207191057-4dc4ff7963b4 // indirect
	github.com/btcsuite/btclog v0.0.0-20170628155309-84c8d2346e9f // indirect
	github.com/decred/dcrd/dcrec/secp256k1/v4 v4.4.1 // indirect
	github.com/katzenpost/chacha20 v0.0.0-20190910113340-7ce890d6a556 // indirect
	gitlab.com/yawning/bsaes.git v0.0.0-20190805113838-0a714cd429ec // indirect
	golang.org/x/crypto v0.0.0-20201221181555-eec23a3978ad // indirect
)

replace git.schwanenlied.me/yawning/aez.git => gitlab.com/yawning/aez.git v0.0.0-20211027044916-e49e68abd344

replace git.schwanenlied.me/yawning/bsaes.git => ./bsaes
