package vitals

// guard is a security agent as it is known by its services and programs. Names
// are those of its makers' packages.
type guard struct {
	name     string
	units    []string // any of them runs: it runs
	programs []string // any of them is there: it is installed, where there is no service manager
	process  []string
}

var linuxGuards = []guard{
	{"ClamAV", []string{"clamav-daemon.service", "clamd@scan.service", "clamd.service"}, []string{"usr/sbin/clamd"}, []string{"clamd"}},
	{"CrowdStrike Falcon", []string{"falcon-sensor.service"}, []string{"opt/CrowdStrike/falcond"}, []string{"falcond", "falcon-sensor"}},
	{"SentinelOne", []string{"sentinelone.service"}, []string{"opt/sentinelone/bin/sentinelctl"}, []string{"s1-agent", "sentinelone-agent"}},
	{"Wazuh", []string{"wazuh-agent.service"}, []string{"var/ossec/bin/wazuh-agentd"}, []string{"wazuh-agentd"}},
	{"Carbon Black", []string{"cbagentd.service", "cbdaemon.service"}, []string{"opt/carbonblack/psc/bin/cbagentd"}, []string{"cbagentd"}},
	{"Microsoft Defender", []string{"mdatp.service"}, []string{"opt/microsoft/mdatp/sbin/wdavdaemon"}, []string{"wdavdaemon"}},
	{"ESET", []string{"efs.service", "eea.service", "esets.service"}, []string{"opt/eset/efs/sbin/startd", "opt/eset/eea/sbin/startd", "opt/eset/esets/sbin/esets_daemon"}, []string{"esets_daemon", "startd"}},
	{"Sophos", []string{"sophos-spl.service", "sav-protect.service"}, []string{"opt/sophos-spl/base/bin/sophos_watchdog"}, []string{"sophos_watchdog", "savd"}},
	{"Trend Micro", []string{"ds_agent.service"}, []string{"opt/ds_agent/ds_agent"}, []string{"ds_agent"}},
	{"Trellix", []string{"mfetpd.service", "xagt.service"}, []string{"opt/McAfee/ens/tp/bin/mfetpd", "opt/fireeye/bin/xagt"}, []string{"mfetpd", "xagt"}},
	{"Cortex XDR", []string{"traps_pmd.service"}, []string{"opt/traps/bin/pmd"}, []string{"pmd"}},
	{"Elastic Agent", []string{"elastic-agent.service"}, []string{"opt/Elastic/Agent/elastic-agent"}, []string{"elastic-agent"}},
	{"HarfangLab", []string{"hurukai.service", "hurukai-agent.service"}, []string{"opt/hurukai-agent/bin/hurukai"}, []string{"hurukai"}},
	{"Kaspersky", []string{"kesl.service"}, []string{"opt/kaspersky/kesl/bin/kesl"}, []string{"kesl"}},
	{"Bitdefender", []string{"bdsec.service"}, []string{"opt/bitdefender-security-tools/bin/bdsecd"}, []string{"bdsecd"}},
	{"WithSecure", []string{"f-secure-linuxsecurity-fsma.service"}, []string{"opt/f-secure/linuxsecurity/bin/status"}, []string{"fsma2"}},
}
