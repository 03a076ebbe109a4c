# The echo client: sends its input to the server, and shows what comes back.
#
#     perl echo_client.pl [HOST [PORT]]     localhost 5000

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;

my ($said, $heard) = converse(call(5000), "", \*STDIN, sub { print $_[0]; 0 });
fail("the server closed before everything had come back") if $heard < $said;
