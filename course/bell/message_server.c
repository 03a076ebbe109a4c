// The message server: shows each message, and says that it has got it.
//
//     message_server [ADDRESS]     localhost:5000

#include <doorbell.h>
#include <stdio.h>
#include <string.h>

// It ends with a newline, with the caller's end, or after a second of silence.
static int take_message(bell_conn *caller, void *arg)
{
    char text[8193] = "";
    size_t size = 0;
    (void)arg;
    for (ssize_t n = 1; n > 0 && !strchr(text, '\n'); size += n > 0 ? (size_t)n : 0) {
        bell_deadline(caller, bell_in(size == 0 ? BELL_MINUTE : BELL_SECOND));
        n = bell_read(caller, text + size, sizeof text - 1 - size); // 0 when it is full, too
    }
    for (char *c = text; *c; c++) // control characters could command the terminal
        *c = *c == 127 || (*c > 0 && *c < 32 && *c != '\r' && *c != '\n') ? '?' : *c;
    if (size > 0)
        printf("Here is the message: %.*s\n", (int)strcspn(text, "\r\n"), text), fflush(stdout);
    bell_deadline(caller, bell_in(BELL_MINUTE));
    return size > 0 && bell_write(caller, "I got your message", 18) < 0;
}

static void say(const struct bell_event *event, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s\n", event->text);
}

int main(int argc, char **argv)
{
    struct bell_server_options options = {
        .size = sizeof options, .flags = BELL_STOP_ON_SIGNALS, .log = say};
    int rc = bell_serve(argc > 1 ? argv[1] : "localhost:5000", take_message, NULL, &options);
    return rc == 0 ? 0 : (fprintf(stderr, "%s: %s\n", argv[0], bell_error()), 1);
}
