// Everything that is said on stderr: failures, notes, and events as JSON.

#include "json.h"
#include "options.h"
#include "tool.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    bool quiet, json, times, dim;
    int64_t began;
} manner;

static bool wants_color(const char *when)
{
    const char *terminal = getenv("TERM");
    if (when && !strcmp(when, "always"))
        return true;
    if (when && !strcmp(when, "never"))
        return false;
    return isatty(STDERR_FILENO) && !getenv("NO_COLOR") && terminal &&
           strcmp(terminal, "dumb") != 0;
}

void begin_notes(const struct common *common, bool times)
{
    manner.quiet = common->quiet;
    manner.json = common->json && json_is_there();
    if (common->json && !manner.json)
        complain("--json: this doorbell was built without the library jansson");
    manner.times = times;
    manner.dim = wants_color(common->color);
    manner.began = bell_now();
    if (common->calls && bell_show_calls(STDERR_FILENO, 0) < 0)
        complain("%s", bell_error());
}

static double seconds_since_begin(void)
{
    return (double)(bell_now() - manner.began) / (double)BELL_SECOND;
}

static atomic_bool is_in_a_line; // what was shown last at a terminal has not ended its line

void shown_at_terminal(char last)
{
    is_in_a_line = last != '\n';
}

// One write a line, so that lines of several processes do not mix.
static void write_line(const char *line, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, line, size);
        if (n <= 0)
            return; // nobody is there to be told
        line += n;
        size -= (size_t)n;
    }
}

__attribute__((format(printf, 2, 0))) static void say(const char *mark, const char *sentence,
                                                      va_list arguments, bool dim)
{
    char line[1024];
    size_t size = 0;
    if (atomic_exchange(&is_in_a_line, false) && isatty(STDERR_FILENO))
        line[size++] = '\n';
    if (dim)
        size += (size_t)snprintf(line + size, sizeof line - size, "\033[2m");
    if (manner.times)
        size += (size_t)snprintf(line + size, sizeof line - size, "%11.6f ", seconds_since_begin());
    size += (size_t)snprintf(line + size, sizeof line - size, "%s", mark);
    int length = vsnprintf(line + size, sizeof line - size - 8, sentence, arguments);
    if (length < 0)
        return;
    size += (size_t)length < sizeof line - size - 8 ? (size_t)length : sizeof line - size - 9;
    size += (size_t)snprintf(line + size, sizeof line - size, "%s\n", dim ? "\033[0m" : "");
    write_line(line, size);
}

void complain(const char *sentence, ...)
{
    va_list arguments;
    va_start(arguments, sentence);
    if (manner.json) {
        char text[1024];
        vsnprintf(text, sizeof text, sentence, arguments);
        tell("error", "s:s", "text", text);
    } else {
        say("doorbell: ", sentence, arguments, false);
    }
    va_end(arguments);
}

void note(const char *sentence, ...)
{
    if (manner.quiet || manner.json)
        return;
    va_list arguments;
    va_start(arguments, sentence);
    say("", sentence, arguments, manner.dim);
    va_end(arguments);
}

bool tell(const char *type, const char *members, ...)
{
    if (!manner.json)
        return true;
    char line[2048];
    va_list arguments;
    va_start(arguments, members);
    const struct json_event event = {type, seconds_since_begin(), members};
    size_t size = json_line(&event, arguments, line, sizeof line);
    va_end(arguments);
    write_line(line, size);
    return size > 0;
}

void give(const char *type, const char *members, ...)
{
    char line[2048];
    va_list arguments;
    va_start(arguments, members);
    const struct json_event event = {type, seconds_since_begin(), members};
    size_t size = json_line(&event, arguments, line, sizeof line);
    va_end(arguments);
    (void)fwrite(line, 1, size, stdout);
}
