# The sentence client in Perl: a line goes out in one piece, a line comes back.
#
#     tcp_client.pl [HOST [PORT]]     this machine, 6789

use strict;
use warnings;
use IO::Socket::INET;

my ($host, $port) = @ARGV;
my $line = IO::Socket::INET->new(
    PeerAddr => $host // "localhost",
    PeerPort => $port // 6789,
    Proto => "tcp",
) or die "connect: $@\n";
my $sentence = <STDIN>;
exit 0 unless defined $sentence;
print $line $sentence;
my $answer = <$line>;
print "FROM SERVER: ", $answer // "\n";
close $line;
