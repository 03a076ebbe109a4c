// What a shell runs to complete the words of the command, made of the same tables as the help.

#include "pages.h"

#include <string.h>

// ---- bash -------------------------------------------------------------------------------------

// The functions that each of the scripts below needs. Names of hosts are those that this machine knows
// by itself; a Unix socket is completed as a file.
static const char bash_head[] =
    "_doorbell_words() {\n"
    "    local word\n"
    "    COMPREPLY=()\n"
    "    for word in $1; do\n"
    "        case $word in\n"
    "        @address)\n"
    "            COMPREPLY+=($(compgen -W \"localhost $(awk '!/^#/ { $1 = \"\"; print }' "
    "/etc/hosts "
    "2>/dev/null)\" -- \"$2\"))\n"
    "            COMPREPLY+=($(compgen -f -- \"$2\"))\n"
    "            ;;\n"
    "        @file) COMPREPLY+=($(compgen -f -- \"$2\")) ;;\n"
    "        *) [[ $word != \"$2\"* ]] || COMPREPLY+=(\"$word\") ;;\n"
    "        esac\n"
    "    done\n"
    "}\n"
    "\n"
    "_doorbell() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    if [ \"$COMP_CWORD\" = 1 ]; then\n";

static void print_bash_options(const struct option_row *rows, FILE *to)
{
    for (; rows->name; rows++) {
        if (rows->letter)
            fprintf(to, "-%c ", rows->letter);
        fprintf(to, "--%s ", rows->name);
    }
}

static void print_bash_arguments(const struct option_row *rows, FILE *to)
{
    for (; rows->name; rows++) {
        if (!rows->argument)
            continue;
        fputs("        ", to);
        if (rows->letter)
            fprintf(to, "-%c | ", rows->letter);
        fprintf(to, "--%s) _doorbell_words \"%s\" \"$word\" && return ;;\n", rows->name,
                rows->words ? rows->words : "");
    }
}

static void print_bash_command(const struct page *page, FILE *to)
{
    fprintf(to, "    %s)\n        case $before in\n", page->name);
    print_bash_arguments(page->options, to);
    print_bash_arguments(common_options, to);
    fputs("        esac\n        case $word in\n        -*) _doorbell_words \"", to);
    print_bash_options(page->options, to);
    print_bash_options(common_options, to);
    fprintf(to,
            "\" \"$word\" ;;\n        *) _doorbell_words \"%s\" \"$word\" ;;\n        esac\n"
            "        ;;\n",
            page->operands);
}

static void print_topics(FILE *to)
{
    for (int i = 1; pages[i]; i++)
        fprintf(to, "%s%s", pages[i]->name, pages[i + 1] ? " " : "");
}

static void print_bash(FILE *to)
{
    fputs(bash_head, to);
    fprintf(to,
            "        _doorbell_words \"%s --help --version\" \"$word\"\n        return\n    fi\n"
            "    case ${COMP_WORDS[1]} in\n",
            doorbell_page.operands);
    for (int i = 0; pages[i]; i++)
        if (pages[i]->options)
            print_bash_command(pages[i], to);
    fputs("    help) _doorbell_words \"", to);
    print_topics(to);
    fputs("\" \"$word\" ;;\n"
          "    completion) _doorbell_words \"bash zsh fish\" \"$word\" ;;\n"
          "    esac\n"
          "}\n"
          "\n"
          "complete -F _doorbell doorbell\n",
          to);
}

// ---- zsh --------------------------------------------------------------------------------------

// The first line of a help text, without what zsh would read in it.
static void print_zsh_text(const char *text, FILE *to)
{
    for (; *text && *text != '\n'; text++) {
        if (*text == '\'')
            fputs("'\\''", to);
        else if (strchr("[]:\\", *text))
            fprintf(to, "\\%c", *text);
        else
            putc(*text, to);
    }
}

static void print_zsh_action(const char *words, FILE *to)
{
    if (!words)
        fputs(" ", to);
    else if (!strcmp(words, "@address"))
        fputs("_doorbell_address", to);
    else if (!strcmp(words, "@file"))
        fputs("_files", to);
    else
        fprintf(to, "(%s)", words);
}

static void print_zsh_option(const struct option_row *row, FILE *to)
{
    bool repeats = row->kind == OPTION_COUNT || row->kind == OPTION_LIST;
    if (row->letter)
        fprintf(to, "            %s'{-%c,--%s}'[", repeats ? "'*" : "'", row->letter, row->name);
    else
        fprintf(to, "            '%s--%s[", repeats ? "*" : "", row->name);
    print_zsh_text(row->help, to);
    putc(']', to);
    if (row->argument) {
        fprintf(to, ":%s:", row->argument);
        print_zsh_action(row->words, to);
    }
    fputs("' \\\n", to);
}

static void print_zsh_command(const struct page *page, FILE *to)
{
    fprintf(to, "    %s)\n        _arguments -s \\\n", page->name);
    for (const struct option_row *row = page->options; row->name; row++)
        print_zsh_option(row, to);
    for (const struct option_row *row = common_options; row->name; row++)
        print_zsh_option(row, to);
    // "echo upper @address": a word of these first, then addresses.
    const char *address = strstr(page->operands, "@address");
    int size = address ? (int)(address - page->operands) : (int)strlen(page->operands);
    if (size > 0)
        fprintf(to, "            '1:what:(%.*s)' \\\n", size, page->operands);
    fputs("            '*:address:_doorbell_address'\n        ;;\n", to);
}

static void print_zsh(FILE *to)
{
    fprintf(to,
            "#compdef doorbell\n"
            "\n"
            "_doorbell_address() { _hosts; _files }\n"
            "\n"
            "_doorbell() {\n"
            "    if (( CURRENT == 2 )); then\n"
            "        compadd %s\n"
            "        return\n"
            "    fi\n"
            "    (( CURRENT-- ))\n"
            "    shift words\n"
            "    case ${words[1]} in\n",
            doorbell_page.operands);
    for (int i = 0; pages[i]; i++)
        if (pages[i]->options)
            print_zsh_command(pages[i], to);
    fputs("    help) compadd ", to);
    print_topics(to);
    fputs(" ;;\n    completion) compadd bash zsh fish ;;\n    esac\n}\n\n"
          "if [ \"$funcstack[1]\" = _doorbell ]; then\n    _doorbell \"$@\"\nelse\n"
          "    compdef _doorbell doorbell\nfi\n",
          to);
}

// ---- fish -------------------------------------------------------------------------------------

static void print_fish_quoted(const char *text, FILE *to)
{
    putc('\'', to);
    for (; *text && *text != '\n'; text++) {
        if (*text == '\'' || *text == '\\')
            putc('\\', to);
        putc(*text, to);
    }
    putc('\'', to);
}

static void print_fish_option(const struct page *page, const struct option_row *row, FILE *to)
{
    fprintf(to, "complete -c doorbell -n '__fish_seen_subcommand_from %s' -l %s", page->name,
            row->name);
    if (row->letter)
        fprintf(to, " -s %c", row->letter);
    if (row->argument)
        fputs(row->words && row->words[0] == '@' ? " -r" : " -x", to);
    if (row->words && row->words[0] != '@')
        fprintf(to, " -a '%s'", row->words);
    fputs(" -d ", to);
    print_fish_quoted(row->help, to);
    putc('\n', to);
}

static void print_fish_operands(const char *command, const char *words, FILE *to)
{
    for (; *words; words += strspn(words, " ")) {
        int size = (int)strcspn(words, " ");
        if (words[0] == '@')
            fprintf(to,
                    "complete -c doorbell -n '__fish_seen_subcommand_from %s' -F -a "
                    "'(__fish_print_hostnames)'\n",
                    command);
        else
            fprintf(to, "complete -c doorbell -n '__fish_seen_subcommand_from %s' -f -a %.*s\n",
                    command, size, words);
        words += size;
    }
}

static void print_fish(FILE *to)
{
    fprintf(to, "complete -c doorbell -n __fish_use_subcommand -f -a '%s'\n",
            doorbell_page.operands);
    for (int i = 0; pages[i]; i++) {
        if (!pages[i]->options)
            continue;
        for (const struct option_row *row = pages[i]->options; row->name; row++)
            print_fish_option(pages[i], row, to);
        for (const struct option_row *row = common_options; row->name; row++)
            print_fish_option(pages[i], row, to);
        print_fish_operands(pages[i]->name, pages[i]->operands, to);
    }
    fputs("complete -c doorbell -n '__fish_seen_subcommand_from help' -f -a '", to);
    print_topics(to);
    fputs("'\ncomplete -c doorbell -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh "
          "fish'\n",
          to);
}

bool print_completion(const char *shell, FILE *to)
{
    if (!strcmp(shell, "bash"))
        print_bash(to);
    else if (!strcmp(shell, "zsh"))
        print_zsh(to);
    else if (!strcmp(shell, "fish"))
        print_fish(to);
    else
        return false;
    return true;
}
