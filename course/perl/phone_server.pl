# The phone server: a process for each call.
#
#     perl phone_server.pl [PORT [HOST]]     5000 127.0.0.1

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;

sub do_something {
    my ($caller) = @_;    # do your thing with the socket here
}

serve(\&do_something, 5000);
