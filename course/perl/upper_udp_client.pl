# The sentence client by datagram: asks for each line until it is answered, or given up.
#
#     perl upper_udp_client.pl [HOST [PORT [OWN_PORT]]]     localhost 9876

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;
use Errno qw(ECONNREFUSED);
use IO::Select;
use IO::Socket::IP;
use Socket qw(getaddrinfo SOCK_DGRAM);

my $tries      = 5;
my $first_wait = 1;    # seconds; doubled each time, 31 in all

# Each question has a socket of its own, so that a late answer is not taken for another one's. Connected, so that
# others are not heard, and it is told that nobody is there. The answer, or nothing and $!.
sub ask {
    my ($at, $own_port, $question) = @_;
    socket my $server, $at->{family}, $at->{socktype}, $at->{protocol} or return;
    if ($own_port) {
        my $own = $at->{family} == Socket::AF_INET6()
            ? Socket::pack_sockaddr_in6($own_port, Socket::IN6ADDR_ANY())
            : Socket::pack_sockaddr_in($own_port, Socket::INADDR_ANY());
        bind $server, $own or return;
    }
    connect $server, $at->{addr} or return;
    for my $try (0 .. $tries - 1) {
        defined send $server, $question, 0 or return;
        next unless IO::Select->new($server)->can_read($first_wait * 2**$try);
        defined recv $server, my $answer, 65536, 0 or return;
        return substr $answer, 0, length $question;    # what is more was not meant for us
    }
    $! = Errno::ETIMEDOUT();
    return;
}

my ($host, $port, $own_port) = arguments("[HOST [PORT [OWN_PORT]]]", "localhost", 9876, 0);
my ($error, @found) = getaddrinfo($host, port_of($port, "udp"), {socktype => SOCK_DGRAM});
fail("$host: $error") if $error;
while (defined(my $line = <STDIN>)) {
    $line =~ s/\n\z//;
    my $answer = ask($found[0], port_of($own_port, "udp"), $line);
    while (!defined $answer && $!{ECONNREFUSED} && @found > 1) {    # nobody is at this address of the name
        shift @found;
        $answer = ask($found[0], port_of($own_port, "udp"), $line);
    }
    fail("$host:$port: " . ($!{ETIMEDOUT} ? "no answer to $tries datagrams" : $!)) unless defined $answer;
    print "FROM SERVER: $answer\n";
}
