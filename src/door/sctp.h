// SCTP, which few kernels have: why it is not to be had.

#pragma once

// Notes the failure of `what`, "connect" or "listen", with the kernel's own reason: it is asked for a socket.
//
// returns  -1 with errno ESOCKTNOSUPPORT or what else the kernel said; EPROTONOSUPPORT where it has SCTP, which
//          this library does not speak
int sctp_refuse(const char *what, const char *address);
