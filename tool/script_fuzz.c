// libFuzzer: any text is a script or is refused, and each `again` of a script has its `repeat`.

#include "script.h"

#include "tool.h"

#include <stdlib.h>
#include <string.h>

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's word
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int complaints;

// In place of the one in notes.c, which would say it all.
void complain(const char *sentence, ...)
{
    complaints += sentence != NULL;
}

static void check_step(const struct script *script, size_t at)
{
    const struct step *step = &script->steps[at];
    bool loops = step->kind == STEP_REPEAT || step->kind == STEP_AGAIN;
    if (loops && (step->other >= script->count || script->steps[step->other].other != at))
        abort();
    if (step->kind == STEP_EXPECT_TEXT && !step->text)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    struct script script;
    complaints = 0;
    bool ok = script_parse("fuzz", text, &script);
    if (ok != (complaints == 0))
        abort();
    for (size_t i = 0; ok && i < script.count; i++)
        check_step(&script, i);
    script_free(&script);
    free(text);
    return 0;
}
