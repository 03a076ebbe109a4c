// libFuzzer: whatever is read ends, and what it gives has its sizes.

#include "addr/sockopt.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's word
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    const char *at = text, *before = text;
    struct sockopt option;
    char why[256] = "";
    int rc;
    while ((rc = sockopt_next(&at, &option, why, sizeof why)) > 0) {
        if (at <= before || option.size == 0 || option.size > sizeof option.value ||
            !option.name[0])
            abort();
        before = at;
    }
    if (rc < 0 && (!why[0] || strlen(why) >= sizeof why - 1))
        abort();
    free(text);
    return 0;
}
