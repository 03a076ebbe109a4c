// What the files about messages share.

#pragma once

#include "conn/conn.h"

// Whether a task may receive (send) now: 0, or -EBUSY, -EPROTOTYPE of a stream, and what conn_check says. It
// ends with conn->receiving (sending) = false.
int message_begin_receiving(bell_conn *conn);
int message_begin_sending(bell_conn *conn);

// Receives one message. Its whole length, which may be above size; -ESHUTDOWN at the end, or a negative errno.
ssize_t message_receive(bell_conn *conn, void *into, size_t size, int64_t deadline);

// Sends one message. Its length or a negative errno.
ssize_t message_send(bell_conn *conn, const void *data, size_t size, int64_t deadline);
