# The sentence client: reads lines, has the server put them in capitals, and shows the answers.
#
#     perl upper_client.pl [HOST [PORT]]     localhost 6789

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;

my $server = call(6789);
while (my $line = <STDIN>) {
    $line .= "\n" unless $line =~ /\n\z/;
    my $answer = "";
    converse($server, $line, undef, sub { ($answer .= $_[0]) =~ /[\n\0]/ });
    fail("the server closed without an answer") if $answer eq "";
    $answer =~ s/\r?[\n\0].*//s;
    print "FROM SERVER: $answer\n";
}
