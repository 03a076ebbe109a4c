# The message server: shows each message, and says that it has got it.
#
#     perl message_server.pl [PORT [HOST]]     5000 127.0.0.1

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Course;

my $most = 8192;    # bytes of a message

# It ends with a newline, with the caller's end, after a second of silence, or when it is too long.
sub take_message {
    my ($caller) = @_;
    my $message = my $piece = receive($caller, $most);
    while ($piece ne "" && $message !~ /\n/ && length $message < $most) {
        $piece = eval { receive($caller, $most - length $message, 1) } // "";
        $message .= $piece;
    }
    return if $message eq "";
    $message =~ s/\r?\n.*//s;
    $message =~ tr/\0-\x08\x0b-\x1f\x7f/?/;
    print "Here is the message: $message\n";
    send_all($caller, "I got your message");
}

serve(\&take_message, 5000);
