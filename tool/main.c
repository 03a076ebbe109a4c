// doorbell COMMAND: the table of subcommands.

#include "tool.h"

#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"serve", serve_main, "SERVICE [ADDRESS...]", "a small server: echo, upper, discard, message"},
    {"connect", connect_main, "[ADDRESS | HOST PORT]",
     "call a server; stdin goes there, stdout gets the answer"},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *stream)
{
    fputs("doorbell - run and call network programs\n\n"
          "Usage: doorbell COMMAND [ARGUMENTS]\n\n",
          stream);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(stream, "  %-8s %-22s %s\n", commands[i].name, commands[i].arguments,
                commands[i].summary);
    fputs("\nStart here, in two terminals:\n"
          "  doorbell serve echo                 listens on localhost:7464\n"
          "  doorbell connect                    calls localhost:7464\n\n"
          "doorbell COMMAND --help says more; doorbell --version.\n",
          stream);
}

static int run_unknown(const char *word)
{
    const char *names[COMMANDS + 1] = {NULL};
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = nearest(word, names);
    if (near)
        fprintf(stderr, "doorbell: there is no command %.60s; did you mean %s?\n", word, near);
    else
        fprintf(stderr, "doorbell: there is no command %.60s; doorbell --help lists them\n", word);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        puts("doorbell " BELL_VERSION);
        return EXIT_DONE;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(word, commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    return run_unknown(word);
}
