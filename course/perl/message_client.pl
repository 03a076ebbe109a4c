# The message client: sends one line, and shows what the server says to it.
#
#     perl message_client.pl [HOST [PORT]]     localhost 5000

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;

my $server = call(5000);
print "Please enter the message: ";
my $message = <STDIN>;
unless (defined $message) {
    print "\n";
    exit 0;    # nothing to say: there will be no answer
}
my $answer = "";
eval {
    send_all($server, $message);
    $server->shutdown(1);
    while ($answer !~ /\n/ && (my $piece = receive($server, 4096)) ne "") {
        $answer .= $piece;
    }
    1;
} or fail($@ =~ s/\n//r);
fail("the server closed without an answer") if $answer eq "";
$answer =~ s/\n.*//s;
print "$answer\n";
