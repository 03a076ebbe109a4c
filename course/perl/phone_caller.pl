# Calls a phone server, says what its input holds, and shows what comes until it hangs up.
#
#     perl phone_caller.pl [HOST [PORT]]     localhost 5000

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;

my ($said, $heard) = converse(call(5000), "", \*STDIN, sub { print $_[0]; 0 });
fail("the server closed without an answer") if $said > 0 && $heard == 0;
