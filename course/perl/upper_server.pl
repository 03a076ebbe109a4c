# The sentence server: what comes in goes back in capitals, as many bytes out as in.
#
#     perl upper_server.pl [PORT [HOST]]     6789 127.0.0.1

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;

sub upper {
    my ($caller) = @_;
    while ((my $text = receive($caller, 4096)) ne "") {
        $text =~ tr/a-z/A-Z/;
        send_all($caller, $text);
    }
}

serve(\&upper, 6789);
