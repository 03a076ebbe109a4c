// What a shell runs to complete the words of the command, made of the same tables as the help.

#include "pages.h"

#include <string.h>

// ---- Where the cursor is ------------------------------------------------------------------------

// bash and zsh: what stands before the cursor, since the last word that joins. bash takes words apart at = and :.
static const char place_function[] =
    "# The number of operands, and the first one: _doorbell_place JOINT OPTIONS WORD...\n"
    "_doorbell_place() {\n"
    "    local joint=$1 options=$2 word is_part=\n"
    "    shift 2\n"
    "    count=0 first=\n"
    "    for word in \"$@\"; do\n"
    "        if [[ $word == [=:] ]]; then\n"
    "            is_part=yes\n"
    "        elif [[ $is_part ]]; then\n"
    "            is_part=\n"
    "        elif [[ $options == *\" $word \"* ]]; then\n"
    "            is_part=yes\n"
    "        elif [[ $word == \"$joint\" ]]; then\n"
    "            count=0 first=\n"
    "        elif [[ $word != -* ]]; then\n"
    "            ((count++)) || first=$word\n"
    "        fi\n"
    "    done\n"
    "}\n"
    "\n";

static void print_names_with_arguments(const struct option_row *rows, FILE *to)
{
    for (; rows->name; rows++) {
        if (rows->argument && rows->letter)
            fprintf(to, " -%c", rows->letter);
        if (rows->argument)
            fprintf(to, " --%s", rows->name);
    }
}

static void print_all_with_arguments(const struct page *page, FILE *to)
{
    print_names_with_arguments(page->options, to);
    print_names_with_arguments(common_options, to);
}

// How much of a joining page's operands are words that come first; addresses follow.
static int size_of_first_words(const struct page *page)
{
    return (int)(strstr(page->operands, " @address") - page->operands);
}

// ---- bash -------------------------------------------------------------------------------------

// The functions that each of the scripts below needs. Names of hosts are those that this machine knows
// by itself; a Unix socket is completed as a file.
static const char bash_head[] =
    "_doorbell_files() {\n"
    "    local IFS=$'\\n'\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    COMPREPLY+=($(compgen \"$1\" -- \"$2\"))\n"
    "}\n"
    "\n"
    "_doorbell_words() {\n"
    "    local word\n"
    "    COMPREPLY=()\n"
    "    for word in $1; do\n"
    "        case $word in\n"
    "        @address)\n"
    "            COMPREPLY+=($(compgen -W \"localhost $(awk '!/^#/ { $1 = \"\"; print }' "
    "/etc/hosts "
    "2>/dev/null)\" -- \"$2\"))\n"
    "            _doorbell_files -f \"$2\"\n"
    "            ;;\n"
    "        @file) _doorbell_files -f \"$2\" ;;\n"
    "        @folder) _doorbell_files -d \"$2\" ;;\n"
    "        *) [[ $word != \"$2\"* ]] || COMPREPLY+=(\"$word\") ;;\n"
    "        esac\n"
    "    done\n"
    "}\n"
    "\n"
    "_doorbell() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} count first\n"
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

static void print_bash_operands(const struct page *page, FILE *to)
{
    const struct joining *joining = page->joining;
    if (!joining) {
        fprintf(to, "        *) _doorbell_words \"%s\" \"$word\" ;;\n", page->operands);
        return;
    }
    fprintf(to, "        *)\n            _doorbell_place %s \"", joining->word);
    print_all_with_arguments(page, to);
    fprintf(to,
            " \" \"${COMP_WORDS[@]:2:COMP_CWORD-2}\"\n"
            "            case $count:$first in\n"
            "            0:*) _doorbell_words \"%.*s\" \"$word\" ;;\n"
            "            1:%s) _doorbell_words @folder \"$word\" ;;\n"
            "            1:* | 2:%s | *:%s) _doorbell_words @address \"$word\" ;;\n"
            "            *) _doorbell_words \"%s @address\" \"$word\" ;;\n"
            "            esac\n"
            "            ;;\n",
            size_of_first_words(page), page->operands, joining->of_folder, joining->of_folder,
            joining->alone, joining->word);
}

static void print_bash_command(const struct page *page, FILE *to)
{
    fprintf(to, "    %s)\n        case $before in\n", page->name);
    print_bash_arguments(page->options, to);
    print_bash_arguments(common_options, to);
    fputs("        esac\n        case $word in\n        -*) _doorbell_words \"", to);
    print_bash_options(page->options, to);
    print_bash_options(common_options, to);
    fputs("\" \"$word\" ;;\n", to);
    print_bash_operands(page, to);
    fputs("        esac\n        ;;\n", to);
}

static void print_topics(FILE *to)
{
    for (int i = 1; pages[i]; i++)
        fprintf(to, "%s%s", pages[i]->name, pages[i + 1] ? " " : "");
}

static void print_bash(FILE *to)
{
    fputs(place_function, to);
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
    fprintf(to, "            '*:address:%s'\n        ;;\n",
            page->joining ? "_doorbell_operand" : "_doorbell_address");
}

static void print_zsh_operand(const struct page *page, FILE *to)
{
    const struct joining *joining = page->joining;
    fprintf(to,
            "_doorbell_operand() {\n"
            "    local count first\n"
            "    _doorbell_place %s \"",
            joining->word);
    print_all_with_arguments(page, to);
    fprintf(to,
            " \" \"${(@)words[2,CURRENT-1]}\"\n"
            "    case $count:$first in\n"
            "    0:*) compadd %.*s ;;\n"
            "    1:%s) _files -/ ;;\n"
            "    1:*|2:%s|*:%s) _doorbell_address ;;\n"
            "    *) compadd %s; _doorbell_address ;;\n"
            "    esac\n"
            "}\n"
            "\n",
            size_of_first_words(page), page->operands, joining->of_folder, joining->of_folder,
            joining->alone, joining->word);
}

static void print_zsh(FILE *to)
{
    fputs("#compdef doorbell\n"
          "\n"
          "_doorbell_address() { _hosts; _files }\n"
          "\n",
          to);
    fputs(place_function, to);
    for (int i = 0; pages[i]; i++)
        if (pages[i]->joining)
            print_zsh_operand(pages[i], to);
    fprintf(to,
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

static void print_fish_addresses(const char *condition, FILE *to)
{
    fprintf(to, "complete -c doorbell -n '%s' -F -a 'localhost (__fish_print_hostnames)'\n",
            condition);
}

static void print_fish_place(const struct page *page, FILE *to)
{
    const struct joining *joining = page->joining;
    fputs("function __doorbell_place\n"
          "    set -l operands\n"
          "    set -l is_argument\n"
          "    for word in (commandline -opc)[3..]\n"
          "        if test -n \"$is_argument\"\n"
          "            set is_argument\n"
          "        else if contains -- $word",
          to);
    print_all_with_arguments(page, to);
    fprintf(to,
            "\n"
            "            set is_argument yes\n"
            "        else if test \"$word\" = %s\n"
            "            set operands\n"
            "        else if not string match -q -- '-*' $word\n"
            "            set -a operands $word\n"
            "        end\n"
            "    end\n"
            "    switch (count $operands):\"$operands[1]\"\n"
            "        case '0:*'\n"
            "            echo first\n"
            "        case 1:%s\n"
            "            echo folder\n"
            "        case '1:*' 2:%s '*:%s'\n"
            "            echo address\n"
            "        case '*'\n"
            "            echo joint\n"
            "    end\n"
            "end\n",
            joining->word, joining->of_folder, joining->of_folder, joining->alone);
}

static void print_fish_operands(const struct page *page, FILE *to)
{
    char seen[128];
    (void)snprintf(seen, sizeof seen, "__fish_seen_subcommand_from %s", page->name);
    if (!page->joining) {
        print_fish_addresses(seen, to);
        return;
    }
    print_fish_place(page, to);
    fprintf(to,
            "complete -c doorbell -n '%s; and test (__doorbell_place) = first' -f -a '%.*s'\n"
            "complete -c doorbell -n '%s; and test (__doorbell_place) = folder' -f -a "
            "'(__fish_complete_directories)'\n"
            "complete -c doorbell -n '%s; and test (__doorbell_place) = joint' -a %s\n",
            seen, size_of_first_words(page), page->operands, seen, seen, page->joining->word);
    (void)snprintf(seen, sizeof seen,
                   "__fish_seen_subcommand_from %s; and contains (__doorbell_place) address joint",
                   page->name);
    print_fish_addresses(seen, to);
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
        print_fish_operands(pages[i], to);
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
