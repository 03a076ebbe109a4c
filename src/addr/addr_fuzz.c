// libFuzzer: clang -fsanitize=fuzzer,address,undefined. Whatever is read can be written and read
// again, and any bytes can be printed as an address of the kernel.

#include "addr/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's word
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void read_and_write(const char *text)
{
    struct addr addr, again;
    struct sockaddr_storage address;
    char why[256], written[ADDR_TEXT_SIZE], rewritten[ADDR_TEXT_SIZE];
    if (addr_parse(text, &addr, why, sizeof why) < 0) {
        require(why[0] && strlen(why) < sizeof why - 1);
        return;
    }
    require(addr_describe(&addr, written, sizeof written) < sizeof written - 1);
    if (!strchr(written, '\\')) {
        require(addr_parse(written, &again, NULL, 0) == 0);
        addr_describe(&again, rewritten, sizeof rewritten);
        require(strcmp(written, rewritten) == 0 && addr.family == again.family);
    }
    int length = addr_to_sockaddr(&addr, ADDR_ANY, &address);
    if (length < 0)
        return;
    addr_print_of(addr.type, (struct sockaddr *)&address, (socklen_t)length, written,
                  sizeof written);
    if (length > (int)sizeof(sa_family_t) && !strchr(written, '\\'))
        require(addr_parse(written, &again, NULL, 0) == 0 && again.type == addr.type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    read_and_write(text);

    char written[ADDR_TEXT_SIZE];
    uint64_t key;
    const void *address = data;
    require(addr_print(address, (socklen_t)size, written, sizeof written) < sizeof written - 1);
    if (addr_key(address, (socklen_t)size, &key))
        require(key != 0 && !addr_is_loopback(address, (socklen_t)size));
    free(text);
    return 0;
}
