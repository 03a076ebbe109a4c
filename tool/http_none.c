// Requests of HTTP, where the library http-parser is not.

#include "http.h"

#include <errno.h>

bool http_is_there(void)
{
    return false;
}

int http_read(bell_conn *conn, struct http_request *ret_request)
{
    (void)conn;
    *ret_request = (struct http_request){.status = 501};
    errno = ENOTSUP;
    return -1;
}
