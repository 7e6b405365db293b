module git.schwanenlied.me/yawning/bsaes.git

go 1.26.0

require gitlab.com/yawning/bsaes.git v0.0.0-20190805113838-0a714cd429ec

require golang.org/x/sys v0.0.0-20190804053845-51ab0e2deafa // indirect
