// Calls a phone server, says what its input holds, and shows what comes until it hangs up.
//
//     phone_caller [HOST [PORT]]     this machine, port 5000
//
// Exit 1 when something was said and nothing came back. Who says nothing needs no answer.

#define _POSIX_C_SOURCE 200809L

#include "nethelp_converse.h"

int main(int argc, char **argv)
{
    int s = call_from(argc, argv, 5000);
    char name[ADDRESS_TEXT];
    size_t said, heard;
    peer_text(s, name);

    int result = converse(s, &said, &heard);
    close(s);
    if (said > 0 && heard == 0)
        DieWithUserMessage(name, "the server closed without an answer");
    return result < 0 ? 1 : 0;
}
