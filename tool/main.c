// doorbell COMMAND: the table of subcommands.

#include "pages.h"
#include "tool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int help_main(int argc, char **argv);
static int completion_main(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv); // argv[0] is the subcommand
} commands[] = {
    {"serve", serve_main}, {"connect", connect_main},       {"resolve", resolve_main},
    {"help", help_main},   {"completion", completion_main},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

// A descriptor that the program was started without would be given to a socket: data would go where
// notes should. What takes its place fails as a closed one does.
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            exit(EXIT_BROKEN);
}

// A command by its name, or by so many letters of it that it can only be that one.
static const struct command *find_command(const char *word)
{
    const struct command *found = NULL;
    size_t length = strlen(word);
    for (int i = 0; i < COMMANDS; i++) {
        if (!strcmp(word, commands[i].name))
            return &commands[i];
        if (length > 0 && !strncmp(word, commands[i].name, length)) {
            // c is connect: what is typed every day comes before what is typed once.
            if (!found)
                found = &commands[i];
        }
    }
    return found;
}

static int complain_of_command(const char *word)
{
    const char *names[COMMANDS + 1] = {NULL};
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = nearest(word, names);
    if (near)
        complain("there is no command %.60s; did you mean %s?", word, near);
    else if (word[0] == '-')
        complain("%.60s: the command comes first, as in doorbell connect %.60s", word, word);
    else
        complain("there is no command %.60s; doorbell --help lists them", shown(word));
    return EXIT_USAGE;
}

// A topic by its name, or by so many letters of it that it can only be that one.
static const struct page *find_topic(const char *word)
{
    const struct page *found = NULL;
    size_t length = strlen(word);
    for (int i = 0; pages[i]; i++) {
        if (!strcmp(word, pages[i]->name))
            return pages[i];
        if (length == 0 || strncmp(word, pages[i]->name, length) != 0)
            continue;
        if (found)
            return NULL;
        found = pages[i];
    }
    return found;
}

// What has no page of its own (help, completion, the options of doorbell) is on that of doorbell.
static const struct page *find_page(const char *word)
{
    const struct command *command = find_command(word);
    const struct page *page = find_topic(command ? command->name : word);
    if (!page && (command || !strcmp(word, "doorbell") || !strcmp(word, "--help")))
        page = &doorbell_page;
    return page;
}

static void complain_of_topic(const char *word)
{
    char list[256] = "";
    const char *names[32] = {NULL};
    size_t used = 0;
    for (int i = 1; pages[i] && used < sizeof list; i++) {
        names[i - 1] = pages[i]->name;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > 1 ? ", " : "",
                                 pages[i]->name);
    }
    const char *near = nearest(word, names);
    if (near)
        complain("there is no help on %.60s; did you mean %s?", word, near);
    else
        complain("there is no help on %.60s; there is on %s", word, list);
}

// doorbell help [--manual] [PAGE [WORDS]]
static int help_main(int argc, char **argv)
{
    bool manual = argc > 1 && !strcmp(argv[1], "--manual");
    const char *word = argc > 1 + manual ? argv[1 + manual] : "doorbell";
    const struct page *page = find_page(word);
    if (!page) {
        complain_of_topic(word);
        return EXIT_USAGE;
    }
    int rest = 2 + manual;
    if (argc > rest && page->answer && !manual)
        return page->answer(argc - rest, argv + rest);
    if (argc > rest) {
        complain("help %s takes no more words: %.60s", page->name, argv[rest]);
        return EXIT_USAGE;
    }
    if (manual)
        print_manual(page, stdout);
    else
        print_help(page, stdout);
    return EXIT_DONE;
}

static int completion_main(int argc, char **argv)
{
    if (argc < 2) {
        complain("completion: for which shell? There are bash, zsh, fish");
        return EXIT_USAGE;
    }
    const char *shell = argv[1];
    if (!strcmp(shell, "--help") || !strcmp(shell, "-h")) {
        print_help(&doorbell_page, stdout);
        return EXIT_DONE;
    }
    if (print_completion(shell, stdout))
        return EXIT_DONE;
    complain("completion %.60s: there are bash, zsh, fish", shown(shell));
    return EXIT_USAGE;
}

// What was printed must have arrived, too: doorbell --help > /dev/full is a failure.
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (code != EXIT_DONE)
        return code;
    complain("stdout: %m");
    return EXIT_BROKEN;
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    if (argc < 2) {
        print_help(&doorbell_page, stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        print_help(&doorbell_page, stdout);
        return finish(EXIT_DONE);
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        puts("doorbell " BELL_VERSION);
        return finish(EXIT_DONE);
    }
    const struct command *command = find_command(word);
    if (!command)
        return complain_of_command(word);
    return finish(command->run(argc - 1, argv + 1));
}
