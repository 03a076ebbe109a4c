# The sentence server in Perl: a line in, a line out, as long as the caller goes on.
#
#     tcp_server.pl [PORT]     6789

use strict;
use warnings;
use IO::Socket::INET;

my $port = $ARGV[0] // 6789;
my $doorbell = IO::Socket::INET->new(LocalPort => $port, Proto => "tcp", Listen => 5)
    or die "listen: $@\n";
print STDERR "listening on *:", $doorbell->sockport, "\n" if $port == 0;
$SIG{PIPE} = "IGNORE";
while (my $line = $doorbell->accept) {
    while (my $sentence = <$line>) {
        $sentence =~ tr/a-z/A-Z/;
        print $line $sentence;
    }
    close $line;
}
