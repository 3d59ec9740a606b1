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

// unit of a lab service of that name.
func unit(name string) File {
	return File{"/lib/systemd/system/" + name + ".service", 0o644, fmt.Sprintf(`[Unit]
Description=Patchring lab service
[Service]
ExecStart=/usr/lib/%s/serve
Restart=on-failure
[Install]
WantedBy=multi-user.target
`, name)}
}

// starting is the postinst of a package with a service. In a root that no systemd
// runs in, the unit is only enabled: it starts with the next boot.
func starting(name string) string {
	return fmt.Sprintf(`if command -v systemctl >/dev/null; then
	systemctl enable -q %[1]s.service
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl restart %[1]s.service; fi
fi`, name)
}

func stopping(name string) string {
	return fmt.Sprintf(`if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl stop %[1]s.service; fi
if [ "$1" = remove ] && command -v systemctl >/dev/null; then systemctl disable -q %[1]s.service; fi`, name)
}

// serving is a version whose service runs this program.
func serving(name, number, program string) Version {
	return Version{
		Number:  number,
		Suite:   suiteOf(number),
		Files:   []File{{"/usr/lib/" + name + "/serve", 0o755, program}, unit(name)},
		Scripts: map[string]string{"postinst": starting(name), "prerm": stopping(name)},
	}
}

// answering is lab-svc in the version that answers with that HTTP status.
func answering(number, status string) Version {
	return serving("lab-svc", number, fmt.Sprintf(serviceProgram, ServicePort, number, status))
}

// The programs of lab-dead and lab-burn: one that works, one that dies as soon as
// it was started, and one that never rests.
const (
	idleProgram = "#!/usr/bin/perl\nsleep 3600 while 1;\n"
	deadProgram = "#!/usr/bin/perl\nprint STDERR \"lab-dead: no such table: settings\\n\";\nexit 1;\n"
	burnProgram = "#!/usr/bin/perl\n1 while 1;\n"
)
