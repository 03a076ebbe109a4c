// Help texts and manual pages.

#include "pages.h"

#include "tool.h"

#include <stdlib.h>
#include <string.h>

const struct page *const pages[] = {
    &doorbell_page, &serve_page,   &connect_page, &resolve_page, &addresses_page,  &exit_codes_page,
    &script_page,   &options_page, &ports_page,   &types_page,   &transports_page, NULL};

enum { HELP_COLUMN = 22, HELP_WIDTH = 80 };

// ---- Help -------------------------------------------------------------------------------------

// "  -i, --idle TIME", and returns its width.
static int format_option(const struct option_row *row, char *buffer, size_t size)
{
    char letter[8] = "   ";
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c,", row->letter);
    return snprintf(buffer, size, "  %s --%s%s%s", letter, row->name, row->argument ? " " : "",
                    row->argument ? row->argument : "");
}

// The default stands behind the text when there is room for it, else on a line of its own.
static void print_initial(const struct option_row *row, size_t column, FILE *to)
{
    if (!row->initial)
        return;
    if (column + strlen(row->initial) + 4 <= HELP_WIDTH)
        fprintf(to, "  [%s]", row->initial);
    else
        fprintf(to, "\n%*s[%s]", HELP_COLUMN, "", row->initial);
}

static void print_option(const struct option_row *row, FILE *to)
{
    char left[80];
    int width = format_option(row, left, sizeof left);
    if (width + 1 > HELP_COLUMN)
        fprintf(to, "%s\n%*s", left, HELP_COLUMN, "");
    else
        fprintf(to, "%-*s", HELP_COLUMN, left);
    const char *line = row->help;
    size_t length;
    while (length = strcspn(line, "\n"), line[length]) {
        fprintf(to, "%.*s\n%*s", (int)length, line, HELP_COLUMN, "");
        line += length + 1;
    }
    fputs(line, to);
    print_initial(row, HELP_COLUMN + length, to);
    putc('\n', to);
}

static void print_examples(const struct example *examples, FILE *to)
{
    fputs("\nExamples:\n", to);
    for (; examples->command; examples++) {
        int width = fprintf(to, "  doorbell %s", examples->command);
        if (examples->remark && (size_t)width + strlen(examples->remark) + 4 <= HELP_WIDTH)
            fprintf(to, "%*s# %s", width < 44 ? 44 - width : 2, "", examples->remark);
        else if (examples->remark)
            fprintf(to, "\n      # %s", examples->remark);
        putc('\n', to);
    }
}

void print_help(const struct page *page, FILE *to)
{
    for (int i = 0; page->usage[i]; i++)
        fprintf(to, "%s doorbell %s\n", i ? "      " : "Usage:", page->usage[i]);
    fprintf(to, "%s%s\n", page->usage[0] ? "\n" : "", page->description);
    if (page->table)
        fprintf(to, "\n%s:\n%s\n", page->table_title, page->table);
    if (page->print_table) {
        putc('\n', to);
        page->print_table(true, to);
    }
    if (page->options) {
        putc('\n', to);
        for (const struct option_row *row = page->options; row->name; row++)
            print_option(row, to);
        fputs(page->options->name ? "\n" : "", to);
        for (const struct option_row *row = common_options; row->name; row++)
            print_option(row, to);
    }
    if (page->notes)
        fprintf(to, "\n%s\n", page->notes);
    if (page->examples)
        print_examples(page->examples, to);
}

// ---- Manual -----------------------------------------------------------------------------------

// Text for troff: what has a meaning there is escaped.
static void print_escaped(const char *text, size_t size, FILE *to)
{
    for (size_t i = 0; i < size; i++) {
        bool begins_line = i == 0 || text[i - 1] == '\n';
        if (begins_line && (text[i] == '.' || text[i] == '\''))
            fputs("\\&", to);
        if (text[i] == '\\')
            fputs("\\e", to);
        else if (text[i] == '-')
            fputs("\\-", to);
        else if (text[i] == '\'')
            fputs("\\(aq", to);
        else
            putc(text[i], to);
    }
}

static void print_text(const char *text, FILE *to)
{
    print_escaped(text, strlen(text), to);
}

static bool has_indented_line(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == ' ' && (i == 0 || text[i - 1] == '\n'))
            return true;
    return false;
}

// Paragraphs, which blank lines part. One with lines that are indented is shown as it is.
static void print_paragraphs(const char *text, FILE *to)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t size = end ? (size_t)(end - text) : strlen(text);
        bool as_it_is = has_indented_line(text, size);
        fputs(as_it_is ? ".PP\n.nf\n" : ".PP\n", to);
        print_escaped(text, size, to);
        fputs(as_it_is ? "\n.fi\n" : "\n", to);
        text += size;
        text += strspn(text, "\n");
    }
}

static void print_manual_option(const struct option_row *row, FILE *to)
{
    fputs(".TP\n", to);
    if (row->letter)
        fprintf(to, "\\fB\\-%c\\fR, ", row->letter);
    fputs("\\fB\\-\\-", to);
    print_text(row->name, to);
    fputs("\\fR", to);
    if (row->argument)
        fprintf(to, " \\fI%s\\fR", row->argument);
    putc('\n', to);
    print_text(row->help, to);
    putc('\n', to);
    if (row->initial) {
        fputs(".br\nDefault: ", to);
        print_text(row->initial, to);
        fputs(".\n", to);
    }
}

static void print_manual_options(const struct option_row *rows, FILE *to)
{
    for (; rows->name; rows++)
        print_manual_option(rows, to);
}

static const char *name_of_page(const struct page *page, char *buffer, size_t size)
{
    snprintf(buffer, size, page == &doorbell_page ? "doorbell" : "doorbell-%s", page->name);
    return buffer;
}

static void print_see_also(const struct page *page, FILE *to)
{
    char name[64];
    const char *separator = "";
    fputs(".SH SEE ALSO\n", to);
    for (int i = 0; pages[i]; i++) {
        if (pages[i] == page)
            continue;
        fprintf(to, "%s.BR %s (%d)", separator, name_of_page(pages[i], name, sizeof name),
                pages[i]->usage[0] ? 1 : 7);
        separator = " ,\n";
    }
    putc('\n', to);
}

static void print_manual_table(const struct page *page, FILE *to)
{
    char *text = NULL;
    size_t size = 0;
    FILE *table = open_memstream(&text, &size);
    if (!table)
        return;
    page->print_table(false, table);
    (void)fclose(table);
    fputs(".PP\n.nf\n", to);
    print_escaped(text, size, to);
    fputs(".fi\n", to);
    free(text);
}

void print_manual(const struct page *page, FILE *to)
{
    char name[64];
    name_of_page(page, name, sizeof name);
    fprintf(to, ".TH %s %d \"\" \"doorbell " BELL_VERSION "\" \"doorbell\"\n.SH NAME\n%s \\- ",
            name, page->usage[0] ? 1 : 7, name);
    print_text(page->summary, to);
    putc('\n', to);
    for (int i = 0; page->usage[i]; i++) {
        fputs(i ? ".br\n\\fBdoorbell\\fR " : ".SH SYNOPSIS\n\\fBdoorbell\\fR ", to);
        print_text(page->usage[i], to);
        putc('\n', to);
    }
    fputs(".SH DESCRIPTION\n", to);
    print_paragraphs(page->description, to);
    if (page->table) {
        fprintf(to, ".SS %s\n.nf\n", page->table_title);
        print_text(page->table, to);
        fputs("\n.fi\n", to);
    }
    if (page->print_table)
        print_manual_table(page, to);
    if (page->options) {
        fputs(".SH OPTIONS\n", to);
        print_manual_options(page->options, to);
        print_manual_options(common_options, to);
    }
    if (page->notes) {
        fputs(".SH NOTES\n", to);
        print_paragraphs(page->notes, to);
    }
    if (page->examples)
        fputs(".SH EXAMPLES\n", to);
    for (const struct example *at = page->examples; at && at->command; at++) {
        fputs(".TP\n\\fBdoorbell ", to);
        print_text(at->command, to);
        fputs("\\fR\n", to);
        print_text(at->remark ? at->remark : "", to);
        putc('\n', to);
    }
    print_see_also(page, to);
}
