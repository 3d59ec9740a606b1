//go:build !linux && !windows

package vitals

// guardServices are security agents by the name of their service.
var guardServices = []string{
	"com.crowdstrike.falcond", "com.sentinelone.sentineld", "com.wazuh.agent", "com.vmware.carbonblack.cloud.daemon", "com.microsoft.wdav.daemon",
	"com.eset.endpoint", "com.sophos.endpoint.scanextension", "com.trendmicro.icore.main", "com.paloaltonetworks.cortex.agent", "co.elastic.elastic-agent",
}

// system: what only Windows or Linux tells is absent here.
func (h *host) system() []source { return nil }
