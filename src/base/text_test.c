#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void pieces_are_put_together(void **state)
{
    (void)state;
    char memory[32];
    struct text text;
    text_init(&text, memory, sizeof memory);

    assert_string_equal(memory, "");
    text_add(&text, "port ");
    text_addf(&text, "%d is above %d", 70000, 65535);
    text_add(&text, "");
    text_addf(&text, "%s", "");

    assert_string_equal(memory, "port 70000 is above 65535");
    assert_int_equal(text.length, strlen(memory));
    assert_false(text.cut);
}

static void a_text_that_just_fits_is_whole(void **state)
{
    (void)state;
    char memory[6];
    struct text text;
    text_init(&text, memory, sizeof memory);
    text_addf(&text, "%s", "abc");
    text_add(&text, "de");
    assert_string_equal(memory, "abcde");
    assert_false(text.cut);
}

static void what_does_not_fit_ends_in_dots(void **state)
{
    (void)state;
    char memory[8];
    struct text text;
    text_init(&text, memory, sizeof memory);
    text_add(&text, "0123456789");
    assert_string_equal(memory, "0123...");
    assert_true(text.cut);

    text_add(&text, "more");
    text_addf(&text, "%d", 5);
    text_escape(&text, "x", 1);
    assert_string_equal(memory, "0123...");
    assert_int_equal(text.length, 7);

    text_init(&text, memory, sizeof memory);
    text_add(&text, "0123456");
    text_addf(&text, "%d", 7);
    assert_string_equal(memory, "0123...");
}

static void a_character_is_not_split(void **state)
{
    (void)state;
    char memory[8];
    struct text text;
    text_init(&text, memory, sizeof memory);
    text_add(&text, "ab\xe2\x82\xac\xe2\x82\xac"); // two euro signs
    assert_string_equal(memory, "ab...");
    text_add(&text, "c");
    assert_string_equal(memory, "ab...");
}

static void tiny_rooms_are_kept(void **state)
{
    (void)state;
    char memory[5] = "####";
    struct text text;
    text_init(&text, memory, 3);
    text_add(&text, "abc");
    assert_memory_equal(memory, "..\0#", 5);

    text_init(&text, memory, 1);
    text_addf(&text, "abc");
    assert_memory_equal(memory, "\0.\0#", 5);

    text_init(&text, NULL, 0);
    text_add(&text, "abc");
    text_init(&text, NULL, 0);
    text_addf(&text, "abc");
    text_init(&text, NULL, 0);
    text_escape(&text, "abc", 3);
    assert_true(text.cut);
    assert_int_equal(text.length, 0);
}

static void the_bytes_of_strangers_are_escaped(void **state)
{
    (void)state;
    char memory[TEXT_ESCAPED_MAX + 1];
    struct text text;
    text_init(&text, memory, sizeof memory);
    text_escape(&text, "a b~\0\n\x1b[2J\\\"\x7f\xff", 14);
    assert_string_equal(memory, "a b~\\x00\\x0a\\x1b[2J\\x5c\\x22\\x7f\\xff");

    uint8_t bytes[108];
    memset(bytes, 0x80, sizeof bytes);
    text_init(&text, memory, sizeof memory);
    text_escape(&text, bytes, sizeof bytes);
    assert_false(text.cut);
    text_escape(&text, bytes, 1);
    assert_true(text.cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_put_together),
        cmocka_unit_test(a_text_that_just_fits_is_whole),
        cmocka_unit_test(what_does_not_fit_ends_in_dots),
        cmocka_unit_test(a_character_is_not_split),
        cmocka_unit_test(tiny_rooms_are_kept),
        cmocka_unit_test(the_bytes_of_strangers_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
