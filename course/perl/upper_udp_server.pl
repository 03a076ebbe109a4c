# The sentence server by datagram: each one goes back in capitals to whoever sent it.
#
#     perl upper_udp_server.pl [PORT [HOST]]     9876 127.0.0.1

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;
use IO::Socket::IP;

my ($port, $host) = arguments("[PORT [HOST]]", 9876, "127.0.0.1");
my $door = IO::Socket::IP->new(LocalHost => $host, LocalPort => port_of($port, "udp"), Type => SOCK_DGRAM)
    or fail("$host:$port: $@");
announce($door);
while (1) {
    defined $door->recv(my $text, 65536) or next;
    next if $door->peerport < 1024;    # two servers that answer each other would never end
    $text =~ tr/a-z/A-Z/;
    defined $door->send($text) or print STDERR "send: $!\n";    # to who sent it, as many bytes as came
}
