// io_uring: operations and their ends.

#include "parity.h"

static const struct fact facts[] = {
    {"io_uring_prep_nop(3)", "doing nothing ends well", "ring 4; put x nop; enter = x:0"},
    {"io_uring_enter(2), order", "what need not wait ends in the order in which it was handed over",
     "ring 4; pair A B unix; put x send A 5; put y recv B 9; put z nop; enter = x:5 y:5 z:0"},
    {"io_uring_enter(2), none", "nothing ends where nothing is done", "ring 4; enter = nothing"},
    {"io_uring_sqe_set_flags(3), IOSQE_CQE_SKIP_SUCCESS", "a good end need not be told",
     "ring 4; putq x nop; put y nop; enter = y:0"},
    {"io_uring_sqe_set_flags(3), failures are told", "a bad end is told all the same",
     "ring 4; putq x cancel z; enter = x:ENOENT"},
    {"io_uring(7), the submission queue", "there is room for as many as were asked for",
     "ring 2; put x nop; put y nop; put z nop = full; enter = x:0 y:0; put z nop; enter = z:0"},
    {"io_uring_setup(2), IORING_FEAT_NODROP", "ends that find no room are kept",
     "ring 1; put a nop; hand = 1; put b nop; hand = 2; put c nop; hand = 3; put d nop; hand = 4; "
     "put e nop; hand = 4; put f nop; hand = 4; enter = a:0 b:0 c:0 d:0; enter = e:0 f:0"},
    {"io_uring_setup(2), a full completion queue", "with many ends it ends when there is no room",
     "ring 1; event V; put x polls V in; enter = nothing; write V 1; put a nop; hand = 2; "
     "write V 1; put b nop; hand = 4; write V 1; put c nop; hand = 4; "
     "enter = a:0 x:1+ b:0 x:1+; enter = c:0 x:1"},
    {"io_uring_register(2), poll", "the descriptor of a ring is readable when something has ended",
     "ring 4; pair A B unix; put x recv B 9; enter = nothing; look R in = nothing; send A 5; "
     "poll R in = in; enter = x:5; enter = nothing; look R in = nothing"},
    {"io_uring_register(2), epoll", "the descriptor of a ring can be watched by epoll",
     "ring 4; pair A B unix; epoll E; add E R in; put x recv B 9; enter = nothing; "
     "wait E = nothing; send A 5; wait E = R:in; enter = x:5"},

    {"io_uring_prep_recv(3)", "what is there is received at once",
     "ring 4; pair A B tcp; send A 5; rest; put x recv B 9; enter = x:5"},
    {"io_uring_prep_recv(3), the buffer", "the bytes are in the buffer when it has ended",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; holds x = 0; send A 5; ends = x:5; "
     "holds x = 5"},
    {"io_uring_prep_recv(3), waits", "what is not there is waited for",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; send A 5; ends = x:5"},
    {"io_uring_prep_recv(3), the end", "the end of a stream is nothing",
     "ring 4; pair A B tcp; shut A w; rest; put x recv B 9; enter = x:0"},
    {"io_uring_prep_recv(3), the end, waited for", "who waits is told of the end",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; shut A w; ends = x:0"},
    {"io_uring_prep_recv(3), ECONNRESET", "who waits is told of a reset",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; reset A; ends = x:ECONNRESET"},
    {"io_uring_prep_recv(3), SHUT_RD", "one's own end is an end, too",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; shut B r; ends = x:0"},
    {"io_uring_prep_recv(3), MSG_DONTWAIT", "an operation need not wait",
     "ring 4; pair A B tcp; put x recv B 9 dontwait; enter = x:EAGAIN"},
    {"io_uring_prep_recv(3), MSG_PEEK", "what was looked at is still there",
     "ring 4; pair A B tcp; send A 5; rest; put x recv B 9 peek; enter = x:5; recv B 9 = 5"},
    {"io_uring_prep_recv(3), MSG_WAITALL", "all of it is waited for",
     "ring 4; pair A B tcp; put x recv B 9 all; send A 5; rest; enter = nothing; send A 4; "
     "ends = x:9; holds x = 9"},
    {"io_uring_prep_recv(3), MSG_WAITALL: the end", "at the end it is what there was",
     "ring 4; pair A B tcp; put x recv B 9 all; send A 5; rest; enter = nothing; shut A w; "
     "ends = x:5"},
    {"io_uring_prep_recv(3), MSG_WAITALL: cancelled", "what came before it was cancelled is told",
     "ring 4; pair A B tcp; put x recv B 9 all; send A 5; rest; enter = nothing; put y cancel x; "
     "ends = y:0 x:5"},
    {"io_uring_prep_recv(3), EBADF", "a closed descriptor has nothing",
     "ring 4; open A tcp; closes A; put x recv A 1; enter = x:EBADF"},
    {"io_uring_prep_recv(3), ENOTSOCK", "what is no socket receives nothing",
     "ring 4; event V; put x recv V 1; enter = x:ENOTSOCK"},
    {"io_uring_prep_recv(3), ENOTCONN", "without a peer nothing is received",
     "ring 4; open A tcp; put x recv A 1; enter = x:ENOTCONN"},
    {"io_uring_prep_recvmsg(3)", "a message is received as one",
     "ring 4; pair A B dgram; put x recvm B 9; enter = nothing; send A 5; send A 3; ends = x:5; "
     "recv B 9 = 3"},

    {"io_uring_prep_recv(3), IOSQE_BUFFER_SELECT", "the buffer that was given first is taken first",
     "ring 4; pair A B tcp; buffers 4; give 3 100; give 1 100; put x recvb B; enter = nothing; "
     "send A 5; ends = x:5#3; put x recvb B; send A 6; ends = x:6#1"},
    {"io_uring_prep_recv(3), buffer size", "no more than the buffer has room for",
     "ring 4; pair A B tcp; buffers 4; give 1 3; send A 5; rest; put x recvb B; enter = x:3#1; "
     "recv B 9 = 2"},
    {"io_uring_prep_recv(3), buffer and length", "no more than was asked for",
     "ring 4; pair A B tcp; buffers 4; give 1 100; send A 5; rest; put x recvb B 2; "
     "enter = x:2#1"},
    {"io_uring_prep_recv_multishot(3)", "one operation receives again and again",
     "ring 4; pair A B tcp; buffers 4; give 1 100; give 2 100; put x recvs B; enter = nothing; "
     "send A 5; ends = x:5+#1; send A 7; ends = x:7+#2"},
    {"io_uring_prep_recv_multishot(3), bytes", "the bytes are in the buffer of the number told",
     "ring 4; pair A B unix; buffers 4; give 1 100; give 2 100; put y send A 5; put x recvs B; "
     "enter = y:5 x:5+#1; holds 1 = 5; holds 2 = 0"},
    {"io_uring_prep_recv_multishot(3), in pieces", "what is too long for one buffer takes several",
     "ring 4; pair A B tcp; buffers 4; give 1 3; give 2 3; give 3 3; send A 8; rest; "
     "put x recvs B; enter = x:3+#1 x:3+#2 x:2+#3"},
    {"io_uring_prep_recv_multishot(3), ENOBUFS", "without a buffer it ends at once",
     "ring 4; pair A B tcp; buffers 4; put x recvs B; enter = x:ENOBUFS"},
    {"io_uring_prep_recv_multishot(3), ENOBUFS: no group", "without a group it ends as well",
     "ring 4; pair A B tcp; put x recvs B; enter = x:ENOBUFS"},
    {"io_uring_prep_recv_multishot(3), used up",
     "with the buffers used up it ends, and loses nothing",
     "ring 4; pair A B tcp; buffers 4; give 1 100; put x recvs B; send A 5; ends = x:5+#1; "
     "send A 6; ends = x:ENOBUFS; give 1 100; put x recvs B; enter = x:6+#1"},
    {"io_uring_prep_recv_multishot(3), the end", "at the end it ends, and takes no buffer",
     "ring 4; pair A B tcp; pair C D tcp; buffers 4; give 1 100; put x recvs B; enter = nothing; "
     "shut A w; ends = x:0; put y recvb D; send C 4; ends = y:4#1"},
    {"io_uring_prep_recv_multishot(3), EINVAL", "many ends need buffers that are given",
     "ring 4; pair A B tcp; buffers 4; put x recvs B; enter = x:ENOBUFS; put y cancelany; "
     "enter = y:0"},

    {"io_uring_prep_send(3)", "what there is room for is sent at once",
     "ring 4; pair A B tcp; put x send A 5; enter = x:5; rest; recv B 9 = 5"},
    {"io_uring_prep_send(3), waits", "room is waited for",
     "ring 4; pair A B unix; fill A = some; put x send A 5; enter = nothing; drain B = EAGAIN; "
     "ends = x:5"},
    {"io_uring_prep_send(3), MSG_DONTWAIT", "without room there is no waiting if not wanted",
     "ring 4; pair A B unix; fill A = some; put x send A 5 dontwait; enter = x:EAGAIN"},
    {"io_uring_prep_send(3), EPIPE", "who has ended writing sends no more",
     "ring 4; pair A B tcp; shut A w; put x send A 5; enter = x:EPIPE"},
    {"io_uring_prep_send(3), EPIPE: waits", "who waits for room is told that the other has gone",
     "ring 4; pair A B unix; fill A = some; put x send A 5; enter = nothing; close B; "
     "ends = x:EPIPE"},
    {"io_uring_prep_sendmsg(3)", "pieces leave a ring as one",
     "ring 4; pair A B dgram; put x sendm A 3; enter = x:6; recv B 99 = 6"},

    {"io_uring_prep_accept(3)", "a caller is waited for",
     "ring 4; open L tcp; bind L lo; listen L 5; put x accept L B; enter = nothing; open A tcp; "
     "connect A L = EINPROGRESS; ends = x:fd; name B L = yes; peer B A = yes"},
    {"io_uring_prep_accept(3), at once", "who is there is accepted at once",
     "ring 4; open L unix; bind L abstract; listen L 5; open A unix; connect A L; put x accept L "
     "B; "
     "enter = x:fd; send A 3; recv B 9 = 3"},
    {"io_uring_prep_accept(3), EINVAL", "who does not listen accepts nobody",
     "ring 4; open A tcp; bind A lo; put x accept A B; enter = x:EINVAL"},
    {"io_uring_prep_multishot_accept(3)", "one operation accepts all",
     "ring 4; open L unix; bind L abstract; listen L 5; put x accepts L B; enter = nothing; "
     "open A unix; connect A L; open D unix; connect D L; ends = x:fd+ x:fd+; send A 3; "
     "recv B 9 = 3; send D 4; recv C 9 = 4"},
    {"io_uring_prep_multishot_accept(3), shutdown", "a listener that was shut down ends it",
     "ring 4; open L tcp; bind L lo; listen L 5; put x accepts L B; enter = nothing; shut L rw; "
     "ends = x:EINVAL"},

    {"io_uring_prep_connect(3)", "it ends when the connection is there",
     "ring 4; open L tcp; bind L lo; listen L 5; open A tcp; put x connect A L; ends = x:0; "
     "peer A L = yes"},
    {"io_uring_prep_connect(3), ECONNREFUSED", "it ends when nobody is there",
     "ring 4; open B tcp; bind B lo; open A tcp; put x connect A B; ends = x:ECONNREFUSED"},
    {"io_uring_prep_connect(3), EISCONN", "who is connected is not connected again",
     "ring 4; open L tcp; bind L lo; listen L 5; open A tcp; put x connect A L; ends = x:0; "
     "put y connect A L; enter = y:EISCONN"},
    {"io_uring_prep_connect(3), UDP", "a datagram socket is connected at once",
     "ring 4; open B udp; bind B lo; open A udp; put x connect A B; enter = x:0; peer A B = yes"},

    {"io_uring_prep_poll_add(3)", "it ends with what has happened",
     "ring 4; pair A B tcp; put x poll B in; enter = nothing; send A 5; ends = x:1; recv B 9 = 5"},
    {"io_uring_prep_poll_add(3), at once", "it ends with what holds already",
     "ring 4; pair A B tcp; put x poll A in,out; enter = x:4"},
    {"io_uring_prep_poll_add(3), once", "it is told once",
     "ring 4; event V; put x poll V in; enter = nothing; write V 1; ends = x:1; write V 1; "
     "enter = nothing"},
    {"io_uring_prep_poll_multishot(3)", "it is told each time that something happens",
     "ring 4; event V; put x polls V in; enter = nothing; write V 1; ends = x:1+; "
     "enter = nothing; write V 1; ends = x:1+"},
    {"io_uring_prep_poll_add(3), POLLERR", "errors and the end are told unasked",
     "ring 4; pair A B unix; put x poll B in; enter = nothing; close A; ends = x:8209"},
    {"io_uring_prep_poll_remove(3)", "who watches is told that he does no more",
     "ring 4; event V; put x polls V in; enter = nothing; put y unpoll x; ends = y:0 x:ECANCELED; "
     "write V 1; enter = nothing"},
    {"io_uring_prep_poll_remove(3), ENOENT", "only who watches can be told so",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; put y unpoll x; enter = y:ENOENT"},

    {"io_uring_prep_cancel(3)", "what waits is cancelled, and ends",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; put y cancel x; "
     "ends = y:0 x:ECANCELED; send A 5; rest; enter = nothing; recv B 9 = 5"},
    {"io_uring_prep_cancel(3), ENOENT", "what is not there is not cancelled",
     "ring 4; put y cancel x; enter = y:ENOENT"},
    {"io_uring_prep_cancel(3), has ended", "what has ended is not there, taken or not",
     "ring 4; pair A B tcp; send A 5; rest; put x recv B 9; put y cancel x; "
     "enter = x:5 y:ENOENT"},
    {"io_uring_prep_cancel(3), a multishot", "one with many ends has a last one",
     "ring 4; pair A B tcp; buffers 4; give 1 100; put x recvs B; send A 5; ends = x:5+#1; "
     "put y cancel x; ends = y:0 x:ECANCELED"},
    {"io_uring_prep_cancel(3), accept", "who accepts is cancelled, and nobody is lost",
     "ring 4; open L unix; bind L abstract; listen L 5; put x accepts L B; enter = nothing; "
     "put y cancel x; ends = y:0 x:ECANCELED; open A unix; connect A L; enter = nothing; "
     "accept L B"},
    {"io_uring_prep_cancel(3), ALL", "all of one name are cancelled, and counted",
     "ring 4; pair A B tcp; put x recv A 9; put x recv B 9; enter = nothing; put y cancelall x; "
     "ends = y:2 x:ECANCELED x:ECANCELED"},
    {"io_uring_prep_cancel(3), ALL: none", "none is a number, too",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; put y cancelall z; enter = y:0"},
    {"io_uring_prep_cancel_fd(3)", "what waits on one descriptor is cancelled",
     "ring 4; pair A B tcp; put w recv A 9; put x recv B 9; enter = nothing; put y cancelfd B; "
     "ends = y:0 x:ECANCELED; put z cancelfd B; enter = z:ENOENT"},
    {"io_uring_prep_cancel_fd(3), ALL", "all that waits on one descriptor is cancelled",
     "ring 4; pair A B unix; fill B = some; put w send B 9; put x recv B 9; put v recv A 0 "
     "dontwait; "
     "enter = v:0; put y cancelfd B all; ends = y:2 w:ECANCELED x:ECANCELED"},
    {"io_uring_prep_cancel_fd(3), EBADF", "a closed descriptor names nothing",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; closes B; put y cancelfd B; "
     "enter = y:EBADF; put z cancel x; ends = z:0 x:ECANCELED"},
    {"io_uring_prep_cancel(3), ANY", "everything is cancelled, and counted",
     "ring 4; pair A B tcp; put x recv A 9; put x poll B in; enter = nothing; put z cancelany; "
     "ends = z:2 x:ECANCELED x:ECANCELED"},

    {"io_uring_prep_close(3)", "a descriptor is closed",
     "ring 4; pair A B tcp; put x close A; enter = x:0; rest; recv B 9 = 0"},
    {"io_uring_prep_close(3), EBADF", "and only once",
     "ring 4; open A tcp; closes A; put x close A; enter = x:EBADF"},
    {"close(2), with an operation under way", "the other end hears nothing before it has ended",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; close B; rest; look A in = nothing; "
     "put y cancel x; ends = y:0 x:ECANCELED; rest; look A in = in; recv A 9 = 0"},
    {"close(2), the file of an operation", "it goes on with the file that it began with",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; close B; open C udp; send A 5; "
     "ends = x:5"},
    {"shutdown(2), with an operation under way",
     "to shut down ends what waits, and is heard at once",
     "ring 4; pair A B tcp; put x recv B 9; enter = nothing; shut B rw; ends = x:0; rest; "
     "recv A 9 = 0"},
};

const struct group facts_ring = {"ring", facts, sizeof facts / sizeof *facts, ring_is_missing};
