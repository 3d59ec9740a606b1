package aptrepo

import "fmt"

// slowScript says when it begins and ends, so that a test can wait for the middle.
var slowScript = fmt.Sprintf(`seconds=%d
if [ -r %[2]s ]; then seconds=$(cat %[2]s); fi
echo "lab-slow: migrating for $seconds s"
mkdir -p /run/lab && touch /run/lab/slow-started
sleep "$seconds"
touch /run/lab/slow-finished`, DefaultSlowSeconds, SlowFile)

// serviceProgram needs nothing but perl-base, which every Debian has.
const serviceProgram = `#!/usr/bin/perl
# Answers every HTTP request with one status.
use strict; use warnings; use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalPort => %d, Listen => 64, ReuseAddr => 1) or die "listen: $!";
$SIG{PIPE} = 'IGNORE';
while (my $client = $listener->accept) {
	while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
	my $body = "lab-svc %s\n";
	print $client "HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: ", length $body, "\r\nConnection: close\r\n\r\n", $body;
	close $client;
}
`

const serviceUnit = `[Unit]
Description=Patchring lab service
[Service]
ExecStart=/usr/lib/lab-svc/serve
Restart=on-failure
[Install]
WantedBy=multi-user.target
`

// In a root that no systemd runs in, the unit is only enabled: it starts with the
// next boot.
const serviceStart = `if command -v systemctl >/dev/null; then
	systemctl enable -q lab-svc.service
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl restart lab-svc.service; fi
fi`

const serviceStop = `if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl stop lab-svc.service; fi
if [ "$1" = remove ] && command -v systemctl >/dev/null; then systemctl disable -q lab-svc.service; fi`

// service is lab-svc in the version that answers with that HTTP status.
func service(number, answer string) Version {
	return Version{
		Number: number,
		Suite:  suiteOf(number),
		Files: []File{
			{"/usr/lib/lab-svc/serve", 0o755, fmt.Sprintf(serviceProgram, ServicePort, number, answer)},
			{"/lib/systemd/system/lab-svc.service", 0o644, serviceUnit},
		},
		Scripts: map[string]string{"postinst": serviceStart, "prerm": serviceStop},
	}
}
