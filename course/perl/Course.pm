# What the programs have in common: arguments, how servers and clients begin, how a call ends.
#
# Servers take [PORT [HOST]], clients [HOST [PORT]]. They exit with 0 if all is well, 1 if not, 2 if called wrongly.

package Course;

use strict;
use warnings;
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use Exporter "import";
use IO::Select;
use IO::Socket::IP;
use Socket qw(SHUT_WR);

our @EXPORT = qw(announce arguments call converse fail port_of receive send_all serve);
my $silence = 60;    # seconds after which a peer that neither talks nor listens is given up

$| = 1;
binmode $_ for *STDIN, *STDOUT;
$SIG{PIPE} = "IGNORE";    # who has gone is an error, and no death

sub fail {
    my ($text, $code) = @_;
    print STDERR "$0: $text\n";
    exit($code // 1);
}

# 0 to 65535, or the name of a service.
sub port_of {
    my ($text, $protocol) = @_;
    return $text if $text =~ /^\d{1,5}\z/a && $text <= 65535;
    my $port = $text =~ /^[a-z]/i && getservbyname($text, $protocol // "tcp");
    return $port || fail("'$text' is not a port: 0 to 65535, or the name of a service", 2);
}

# The words of the command line, in this order, with defaults for those that are left out.
sub arguments {
    my ($usage, @defaults) = @_;
    if (@ARGV > @defaults) {
        print STDERR "usage: $0 $usage\n";
        exit 2;
    }
    # A port alone would be an address: 5000 is 0.0.19.136 for getaddrinfo.
    if ($usage =~ /^\[HOST/ && @ARGV && $ARGV[0] =~ /^(?:-.*|[0-9]*)\z/s) {
        print STDERR "$0: '$ARGV[0]' is not a host: the host comes first, then the port\n";
        exit 2;
    }
    return (@ARGV, @defaults[scalar(@ARGV) .. $#defaults]);
}

# ---- Servers ----------------------------------------------------------------------------------------------

sub announce {
    my ($door) = @_;
    $SIG{TERM} = $SIG{INT} = sub { exit 0 };
    print "listening on ", $door->sockport, "\n";
}

# Some bytes, "" at the end; dies after so many seconds of silence.
sub receive {
    my ($peer, $most, $seconds) = @_;
    my $data;
    do {
        IO::Select->new($peer)->can_read($seconds // $silence) or die "silence\n";
        my $n = sysread $peer, $data, $most;
        return $data if defined $n;
    } while ($!{EINTR} || $!{EAGAIN});
    die "recv: $!\n";
}

# All of it, or it dies.
sub send_all {
    my ($peer, $data) = @_;
    while ($data ne "") {
        IO::Select->new($peer)->can_write($silence) or die "nobody reads\n";
        my $n = syswrite $peer, $data, 16384;
        die "send: $!\n" unless defined $n || $!{EINTR} || $!{EAGAIN};
        substr($data, 0, $n // 0) = "";
    }
}

# Closing with something unread would be a reset, which destroys what is on its way to the caller.
sub hang_up {
    my ($caller) = @_;
    shutdown $caller, SHUT_WR;
    for (my $thrown = 0; $thrown < 65536;) {
        my $data = receive($caller, 4096, 1);
        last if $data eq "";
        $thrown += length $data;
    }
}

# Calls $handle->($caller) in a process for each caller. One caller's mishap is nobody else's.
sub serve {
    my ($handle, $default_port) = @_;
    my ($port, $host) = arguments("[PORT [HOST]]", $default_port, "127.0.0.1");
    my $door = IO::Socket::IP->new(LocalHost => $host, LocalPort => port_of($port), Listen => 128,
        Type => SOCK_STREAM, ReuseAddr => 1)
        or fail("$host:$port: $@");
    announce($door);
    local $SIG{CHLD} = "IGNORE";    # no zombies
    while (1) {
        my $caller = $door->accept;
        select undef, undef, undef, 0.1 if !$caller && !$!{EINTR};    # out of descriptors, say
        next unless $caller;
        my $child = fork;
        print STDERR "fork: $!\n" unless defined $child;
        if (defined $child && $child == 0) {
            close $door;
            eval { $handle->($caller); hang_up($caller); 1 } or print STDERR $caller->peerhost // "", ": $@";
            exit 0;
        }
        close $caller;
    }
}

# ---- Clients ----------------------------------------------------------------------------------------------

sub call {
    my ($default_port) = @_;
    my ($host, $port) = arguments("[HOST [PORT]]", "localhost", $default_port);
    return IO::Socket::IP->new(PeerHost => $host, PeerPort => port_of($port), Type => SOCK_STREAM)
        || fail("$host:$port: $@");
}

# Says $pending and then what $input has (if there is one, it is followed by our end), and gives what comes to
# $hear, each when it can: until the server's end, or until $hear returns true. Returns the bytes said and heard.
sub converse {
    my ($server, $pending, $input, $hear) = @_;
    my ($said, $heard) = (length $pending, 0);
    $server->blocking(0);
    while (1) {
        my $listens = $input && $pending eq "";    # somebody at a terminal may think for as long as he likes
        my ($read, $write) = ("", "");
        vec($read, fileno $server, 1) = 1;
        vec($read, fileno $input, 1) = 1 if $listens;
        vec($write, fileno $server, 1) = 1 if $pending ne "";
        my $ready = select $read, $write, undef, $listens ? undef : $silence;
        next if $ready < 0 && $!{EINTR};
        fail("the server is silent") if $ready == 0;
        if (vec $write, fileno $server, 1) {
            my $n = syswrite $server, $pending;
            # Who has gone may have answered all the same: that is heard, or not.
            substr($pending, 0, defined $n ? $n : $!{EAGAIN} ? 0 : length $pending) = "";
        }
        if ($listens && vec $read, fileno $input, 1) {
            my $n = sysread $input, $pending, 65536;
            $said += $n // 0;
            unless ($n) {
                shutdown $server, SHUT_WR;
                undef $input;
            }
        }
        if (vec $read, fileno $server, 1) {
            my $n = sysread $server, my $piece, 65536;
            next if !defined $n && $!{EAGAIN};
            fail("recv: $!") unless defined $n;
            $heard += $n;
            last if $n == 0 || $hear->($piece);
        }
    }
    return ($said, $heard);
}

1;
