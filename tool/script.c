// Reading the language of a scripted peer.

#include "script.h"

#include "tool.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_SIZE = 64 };

struct parser {
    const char *name;
    const char *at;
    int line;
    struct script *script;
};

// What follows a word.
enum form {
    FORM_NOTHING,
    FORM_TEXT,
    FORM_TEXT_TIMES,
    FORM_TEXT_TIME,
    FORM_TIME,
    FORM_SIZE,
    FORM_ADDRESS,
    FORM_COUNT
};

static const struct rule {
    const char *words; // one or two
    enum step_kind kind;
    enum form form;
} rules[] = {
    {"connect", STEP_CONNECT, FORM_ADDRESS},
    {"accept", STEP_ACCEPT, FORM_NOTHING},
    {"send", STEP_SEND, FORM_TEXT_TIMES},
    {"trickle", STEP_TRICKLE, FORM_TEXT_TIME},
    {"read line", STEP_READ_LINE, FORM_NOTHING},
    {"read end", STEP_READ_END, FORM_NOTHING},
    {"read", STEP_READ_BYTES, FORM_SIZE},
    {"expect end", STEP_EXPECT_END, FORM_NOTHING},
    {"expect reset", STEP_EXPECT_RESET, FORM_NOTHING},
    {"expect silence", STEP_EXPECT_SILENCE, FORM_TIME},
    {"expect", STEP_EXPECT_TEXT, FORM_TEXT},
    {"half-close", STEP_HALF_CLOSE, FORM_NOTHING},
    {"close", STEP_CLOSE, FORM_NOTHING},
    {"reset", STEP_RESET, FORM_NOTHING},
    {"vanish", STEP_VANISH, FORM_NOTHING},
    {"wait", STEP_WAIT, FORM_TIME},
    {"window", STEP_WINDOW, FORM_SIZE},
    {"timeout", STEP_TIMEOUT, FORM_TIME},
    {"repeat", STEP_REPEAT, FORM_COUNT},
    {"again", STEP_AGAIN, FORM_NOTHING},
};

enum { RULES = sizeof rules / sizeof *rules };

static bool wrong(const struct parser *parser, const char *what, const char *word)
{
    complain("%s:%d: %s%.60s", parser->name, parser->line, what, word);
    return false;
}

// ---- Words ------------------------------------------------------------------------------------

static void skip_blanks(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t\r");
}

static bool is_end_of_step(const struct parser *parser)
{
    return strchr("\n;#", *parser->at) != NULL; // NUL, too
}

// The next word, "" at the end of the step.
static void take_word(struct parser *parser, char word[WORD_SIZE])
{
    skip_blanks(parser);
    size_t length = strcspn(parser->at, " \t\r\n;#\"");
    size_t kept = length < WORD_SIZE ? length : WORD_SIZE - 1;
    memcpy(word, parser->at, kept);
    word[kept] = '\0';
    parser->at += length;
}

// The end of a text in quotes: the quote that has no backslash before it.
static const char *closing_quote(const char *at)
{
    for (; *at && *at != '\n'; at++) {
        if (*at == '"')
            return at;
        if (*at == '\\' && at[1])
            at++;
    }
    return NULL;
}

static bool take_text(struct parser *parser, struct step *step)
{
    skip_blanks(parser);
    const char *begin = parser->at + 1;
    const char *end = *parser->at == '"' ? closing_quote(begin) : NULL;
    if (!end)
        return wrong(parser, "a text in \"quotes\" is wanted", "");
    char *escaped = strndup(begin, (size_t)(end - begin));
    char place[WORD_SIZE];
    snprintf(place, sizeof place, "%.40s:%d", parser->name, parser->line);
    bool ok = escaped && parse_escapes(place, escaped, &step->text, &step->size);
    free(escaped);
    parser->at = end + 1;
    return ok;
}

static bool take_time(struct parser *parser, struct step *step)
{
    char word[WORD_SIZE];
    take_word(parser, word);
    return parse_time(word, &step->time) ||
           wrong(parser, "a time is wanted (20ms, 5s), not ", *word ? word : "nothing");
}

static bool take_size(struct parser *parser, struct step *step)
{
    char word[WORD_SIZE];
    take_word(parser, word);
    return (parse_size(word, &step->count) && step->count > 0) ||
           wrong(parser, "a number of bytes is wanted (64, 4k), not ", *word ? word : "nothing");
}

static bool take_count(struct parser *parser, struct step *step)
{
    char word[WORD_SIZE];
    int count = 0;
    take_word(parser, word);
    bool ok = parse_number(word, 1, INT_MAX, &count);
    step->count = (size_t)count;
    return ok || wrong(parser, "a number is wanted, not ", *word ? word : "nothing");
}

static bool take_times(struct parser *parser, struct step *step)
{
    char word[WORD_SIZE];
    step->count = 1;
    take_word(parser, word);
    if (!*word)
        return true;
    if (strcmp(word, "times") != 0)
        return wrong(parser, "times is wanted here, not ", word);
    return take_count(parser, step);
}

static bool take_address(struct parser *parser, struct step *step)
{
    skip_blanks(parser);
    if (is_end_of_step(parser))
        return true;
    size_t length = strcspn(parser->at, " \t\r\n;#\"");
    step->text = strndup(parser->at, length);
    step->size = length;
    parser->at += length;
    return step->text || wrong(parser, "out of memory", "");
}

static bool take_arguments(struct parser *parser, enum form form, struct step *step)
{
    switch (form) {
    case FORM_NOTHING:
        return true;
    case FORM_TEXT:
        return take_text(parser, step);
    case FORM_TEXT_TIMES:
        return take_text(parser, step) && take_times(parser, step);
    case FORM_TEXT_TIME:
        return take_text(parser, step) && take_time(parser, step);
    case FORM_TIME:
        return take_time(parser, step);
    case FORM_SIZE:
        return take_size(parser, step);
    case FORM_ADDRESS:
        return take_address(parser, step);
    case FORM_COUNT:
        return take_count(parser, step);
    }
    return false;
}

// ---- Steps ------------------------------------------------------------------------------------

static bool complain_of_word(const struct parser *parser, const char *word)
{
    const char *names[RULES + 1] = {NULL};
    size_t count = 0;
    for (int i = 0; i < RULES; i++)
        if (!strchr(rules[i].words, ' '))
            names[count++] = rules[i].words;
    const char *near = nearest(word, names);
    if (near)
        complain("%s:%d: there is no %.40s; did you mean %s?", parser->name, parser->line, word,
                 near);
    else
        complain("%s:%d: there is no %.40s; doorbell help script lists what there is", parser->name,
                 parser->line, word);
    return false;
}

// The rule of a step that begins with this word; two-word rules stand before their shorter ones.
static const struct rule *find_rule(struct parser *parser, const char *word)
{
    for (int i = 0; i < RULES; i++) {
        const char *rest = strchr(rules[i].words, ' ');
        size_t length = rest ? (size_t)(rest - rules[i].words) : strlen(rules[i].words);
        if (strlen(word) != length || strncmp(word, rules[i].words, length) != 0)
            continue;
        if (!rest)
            return &rules[i];
        struct parser ahead = *parser;
        char second[WORD_SIZE];
        take_word(&ahead, second);
        if (!strcmp(second, rest + 1)) {
            *parser = ahead;
            return &rules[i];
        }
    }
    return NULL;
}

static struct step *add_step(struct parser *parser)
{
    struct script *script = parser->script;
    struct step *steps = realloc(script->steps, (script->count + 1) * sizeof *steps);
    if (!steps)
        return NULL;
    script->steps = steps;
    steps[script->count] = (struct step){.line = parser->line};
    return &steps[script->count++];
}

static bool parse_step(struct parser *parser)
{
    char word[WORD_SIZE];
    take_word(parser, word);
    if (!*word)
        return is_end_of_step(parser) || wrong(parser, "a step begins with a word", "");
    const struct rule *rule = find_rule(parser, word);
    if (!rule)
        return complain_of_word(parser, word);
    struct step *step = add_step(parser);
    if (!step)
        return wrong(parser, "out of memory", "");
    step->kind = rule->kind;
    if (!take_arguments(parser, rule->form, step))
        return false;
    skip_blanks(parser);
    return is_end_of_step(parser) || wrong(parser, "too much after ", rule->words);
}

// Finds for each `again` its `repeat`.
static bool join_repeats(const struct parser *parser)
{
    struct script *script = parser->script;
    for (size_t i = 0; i < script->count; i++) {
        if (script->steps[i].kind != STEP_AGAIN)
            continue;
        size_t open = i;
        while (open > 0 &&
               !(script->steps[open - 1].kind == STEP_REPEAT && !script->steps[open - 1].other))
            open--;
        if (open == 0) {
            complain("%s:%d: again without a repeat", parser->name, script->steps[i].line);
            return false;
        }
        script->steps[open - 1].other = i;
        script->steps[i].other = open - 1;
    }
    for (size_t i = 0; i < script->count; i++)
        if (script->steps[i].kind == STEP_REPEAT && !script->steps[i].other) {
            complain("%s:%d: repeat without an again", parser->name, script->steps[i].line);
            return false;
        }
    return true;
}

bool script_parse(const char *name, const char *text, struct script *ret_script)
{
    struct parser parser = {.name = name, .at = text, .line = 1, .script = ret_script};
    *ret_script = (struct script){NULL, 0};
    bool ok = true;
    while (ok && *parser.at) {
        ok = parse_step(&parser);
        if (ok && *parser.at == '#')
            parser.at += strcspn(parser.at, "\n");
        if (ok && *parser.at)
            parser.line += *parser.at++ == '\n';
    }
    if (ok && join_repeats(&parser))
        return true;
    script_free(ret_script);
    return false;
}

void script_free(struct script *script)
{
    for (size_t i = 0; i < script->count; i++)
        free(script->steps[i].text);
    free(script->steps);
    *script = (struct script){NULL, 0};
}
