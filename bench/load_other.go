//go:build !linux

package bench

// machineTimesNow knows nothing here.
func machineTimesNow() (machineTimes, bool) { return machineTimes{}, false }
