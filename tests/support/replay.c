// Gives a fuzz target each file of a folder, as libFuzzer would.

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's word
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_OF_ONE = 65536 };

static void replay(const char *folder, const char *name)
{
    // As long as it is, so that a checker sees who reads behind its end.
    static uint8_t room[SIZE_MAX_OF_ONE];
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(room, 1, sizeof room, file);
    (void)fclose(file);
    uint8_t *data = malloc(size + 1);
    if (!data)
        exit(1);
    memcpy(data, room, size);
    (void)fprintf(stderr, "# %s\n", path); // the last one is the one that broke it
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    int count = 0;
    if (!folder) {
        (void)fprintf(stderr, "usage: replay FOLDER\n");
        return 2;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        replay(argv[1], entry->d_name);
        count++;
    }
    (void)closedir(folder);
    printf("1..1\n%sok 1 - %d inputs\n", count ? "" : "not ", count);
    return !count;
}
