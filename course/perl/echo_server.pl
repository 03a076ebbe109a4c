# The echo server: what comes in goes back as it is, and each line is reported.
#
#     perl echo_server.pl [PORT [HOST]]     5000 127.0.0.1

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;

sub echo {
    my ($caller) = @_;
    my $line = "";
    while ((my $text = receive($caller, 4096)) ne "") {
        send_all($caller, $text);
        $line .= $text;
        printf "server received %d bytes\n", length $1 while $line =~ s/^([^\n]*\n)//;
    }
}

serve(\&echo, 5000);
