// Names to addresses, with a resolver of the tests' own.

#include "name/name.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "task/task_test.h"

// ---- The resolver -----------------------------------------------------------------------------------

enum { ANSWERS_MAX = 80 };

static const char *answers[ANSWERS_MAX]; // texts of addresses; NULL ends them
static int code, system_error;           // what it fails with
static sem_t begun, may_end;             // of a resolver that hangs
static atomic_int made, freed;           // lists
static atomic_int questions;
static char official[] = "db.example";
static char asked_host[256], asked_port[64];
static struct addrinfo asked_hints;
static pid_t asked_by;

static struct addrinfo *new_answer(const char *text)
{
    struct addrinfo *info = calloc(1, sizeof *info);
    union name_address *address = calloc(1, sizeof *address);
    bool ipv6 = strchr(text, ':') != NULL;
    if (ipv6)
        assert_int_equal(inet_pton(AF_INET6, text, &address->ipv6.sin6_addr), 1);
    else
        assert_int_equal(inet_pton(AF_INET, text, &address->ipv4.sin_addr), 1);
    info->ai_family = address->any.sa_family = ipv6 ? AF_INET6 : AF_INET;
    info->ai_addr = &address->any;
    info->ai_addrlen = name_address_size(address);
    return info;
}

static int hang(struct addrinfo **ret_list)
{
    assert_int_equal(sem_post(&begun), 0);
    while (sem_wait(&may_end) < 0)
        continue;
    *ret_list = new_answer("1.2.3.4");
    atomic_fetch_add(&made, 1);
    return 0;
}

static int fake_resolve(const char *name, const char *service, const struct addrinfo *hints,
                        struct addrinfo **ret_list)
{
    atomic_fetch_add(&questions, 1);
    if (name && !strcmp(name, "slow"))
        return hang(ret_list);
    snprintf(asked_host, sizeof asked_host, "%s", name ? name : "(none)");
    snprintf(asked_port, sizeof asked_port, "%s", service);
    asked_hints = *hints;
    asked_by = gettid();
    errno = system_error;
    if (code)
        return code;
    struct addrinfo **end = ret_list;
    for (int i = 0; answers[i]; i++) {
        *end = new_answer(answers[i]);
        end = &(*end)->ai_next;
    }
    if (hints->ai_flags & AI_CANONNAME)
        (*ret_list)->ai_canonname = official;
    atomic_fetch_add(&made, 1);
    return 0;
}

static int fake_name_of(const struct sockaddr *address, socklen_t size, char *ret_name,
                        size_t name_size)
{
    assert_int_equal(address->sa_family, AF_INET);
    assert_int_equal(size, sizeof(struct sockaddr_in));
    asked_by = gettid();
    errno = system_error;
    snprintf(ret_name, name_size, "db.example");
    return code;
}

static void fake_resolve_free(struct addrinfo *list)
{
    bool any = list;
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list->ai_addr);
        free(list);
        list = next;
    }
    if (any)
        atomic_fetch_add(&freed, 1);
}

static void reset(void)
{
    memset(answers, 0, sizeof answers);
    code = system_error = 0;
    questions = 0;
}

// ---- Asking it --------------------------------------------------------------------------------------

static struct name_list list;
static const char *reason;

static int ask(const char *text, enum addr_family family)
{
    struct addr addr;
    char why[256] = "";
    assert_int_equal(addr_parse(text, &addr, why, sizeof why), 0);
    return name_resolve(&addr, family, SOON, &list, &reason);
}

// The list, as texts with a blank between.
static void assert_list(const char *expected)
{
    char text[2048] = "";
    for (int i = 0; i < list.count; i++) {
        const union name_address *address = &list.addresses[i];
        size_t length = strlen(text);
        if (i > 0)
            text[length++] = ' ';
        (void)addr_print(&address->any, name_address_size(address), text + length,
                         sizeof text - length);
    }
    assert_string_equal(text, expected);
}

// ---- Without a look-up --------------------------------------------------------------------------------

static void numbers_and_loopback_are_not_looked_up(void)
{
    static const struct {
        const char *text;
        enum addr_family family;
        const char *list;
    } cases[] = {
        {"127.0.0.1:80", ADDR_ANY, "tcp:127.0.0.1:80"},
        {"127.0.0.1:80", ADDR_V4, "tcp:127.0.0.1:80"},
        {"[2001:db8::1]:80", ADDR_ANY, "tcp:[2001:db8::1]:80"},
        {"[2001:db8::1]:80", ADDR_V6, "tcp:[2001:db8::1]:80"},
        {"localhost:80", ADDR_ANY, "tcp:[::1]:80 tcp:127.0.0.1:80"},
        {"localhost:80", ADDR_V4, "tcp:127.0.0.1:80"},
        {"localhost:80", ADDR_V6, "tcp:[::1]:80"},
        {"tcp4:localhost:80", ADDR_ANY, "tcp:127.0.0.1:80"},
        {"80", ADDR_ANY, "tcp:[::1]:80 tcp:127.0.0.1:80"},
        {"*:80", ADDR_ANY, "tcp:[::]:80 tcp:0.0.0.0:80"},
        {"*:80", ADDR_V4, "tcp:0.0.0.0:80"},
    };
    reset();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ask(cases[i].text, cases[i].family), 0);
        assert_list(cases[i].list);
    }
    assert_int_equal(ask("127.0.0.1:80", ADDR_V6), -EAFNOSUPPORT);
    assert_int_equal(ask("tcp6:[::1]:80", ADDR_V4), -EAFNOSUPPORT);
    assert_int_equal(questions, 0);
}

// ---- With one -----------------------------------------------------------------------------------------

static void the_families_alternate(void)
{
    static const struct {
        const char *answers[8];
        const char *list;
    } cases[] = {
        {{"1.1.1.1"}, "tcp:1.1.1.1:0"},
        {{"::a"}, "tcp:[::a]:0"},
        {{"::a", "1.1.1.1"}, "tcp:[::a]:0 tcp:1.1.1.1:0"},
        {{"1.1.1.1", "::a"}, "tcp:[::a]:0 tcp:1.1.1.1:0"},
        {{"1.1.1.1", "1.1.1.2", "::a", "::b"},
         "tcp:[::a]:0 tcp:1.1.1.1:0 tcp:[::b]:0 tcp:1.1.1.2:0"},
        {{"::b", "::a", "::c", "1.1.1.9"}, "tcp:[::b]:0 tcp:1.1.1.9:0 tcp:[::a]:0 tcp:[::c]:0"},
        {{"::a", "1.1.1.3", "1.1.1.2", "1.1.1.1"},
         "tcp:[::a]:0 tcp:1.1.1.3:0 tcp:1.1.1.2:0 tcp:1.1.1.1:0"},
        {{"1.1.1.1", "1.1.1.1", "::a", "1.1.1.1", "::a"}, "tcp:[::a]:0 tcp:1.1.1.1:0"},
    };
    reset();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(answers, cases[i].answers, sizeof cases[i].answers);
        assert_int_equal(ask("db:5432", ADDR_ANY), 0);
        assert_list(cases[i].list);
    }
    assert_int_equal(freed, made);
}

static void too_many_addresses_are_cut(void)
{
    static char texts[ANSWERS_MAX][16];
    reset();
    for (int i = 0; i < ANSWERS_MAX - 1; i++) {
        snprintf(texts[i], sizeof texts[i], i < 40 ? "::a:%x" : "1.1.1.%d", i);
        answers[i] = texts[i];
    }
    assert_int_equal(ask("db:5432", ADDR_ANY), 0);
    assert_int_equal(list.count, NAME_ADDRESSES_MAX);
    assert_int_equal(list.addresses[NAME_ADDRESSES_MAX - 1].any.sa_family, AF_INET);
    assert_int_equal(freed, made);
}

static void the_question_is_asked_as_it_should_be(void)
{
    static const struct {
        const char *text;
        enum addr_family family;
        const char *host, *port;
        int ai_family, flags;
    } cases[] = {
        {"db:5432", ADDR_ANY, "db", "5432", AF_UNSPEC, 0},
        {"db:5432", ADDR_V4, "db", "5432", AF_INET, 0},
        {"tcp6:db:5432", ADDR_ANY, "db", "5432", AF_INET6, 0},
        {"db:postgresql", ADDR_V6, "db", "postgresql", AF_INET6, 0},
        {"1.2.3.4:http", ADDR_ANY, "1.2.3.4", "http", AF_INET, 0},
        {"localhost:http", ADDR_ANY, "(none)", "http", AF_UNSPEC, 0},
        {"*:http", ADDR_ANY, "(none)", "http", AF_UNSPEC, AI_PASSIVE},
        {"[fe80::1%eth0]:80", ADDR_ANY, "fe80::1%eth0", "80", AF_INET6, 0},
    };
    reset();
    answers[0] = "1.2.3.4";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ask(cases[i].text, cases[i].family), 0);
        assert_string_equal(asked_host, cases[i].host);
        assert_string_equal(asked_port, cases[i].port);
        assert_int_equal(asked_hints.ai_family, cases[i].ai_family);
        assert_int_equal(asked_hints.ai_flags, cases[i].flags);
        assert_int_equal(asked_hints.ai_socktype, SOCK_STREAM);
        assert_int_not_equal(asked_by, gettid());
    }
}

static void failures_keep_the_words_of_the_resolver(void)
{
    static const struct {
        int code, system_error, error;
    } cases[] = {
        {EAI_NONAME, 0, -ENOENT},      {EAI_NODATA, 0, -ENOENT}, {EAI_ADDRFAMILY, 0, -ENOENT},
        {EAI_AGAIN, 0, -EAGAIN},       {EAI_FAIL, 0, -EIO},      {EAI_SERVICE, 0, -EINVAL},
        {EAI_MEMORY, 0, -ENOMEM},      {EAI_SYSTEM, 0, -EIO},    {EAI_SOCKTYPE, 0, -EIO},
        {EAI_SYSTEM, EMFILE, -EMFILE},
    };
    reset();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        code = cases[i].code;
        system_error = cases[i].system_error;
        assert_int_equal(ask("db:5432", ADDR_ANY), cases[i].error);
        if (code == EAI_MEMORY || code == EAI_SYSTEM)
            assert_null(reason);
        else if (code == EAI_SERVICE)
            assert_string_equal(reason, "there is no service of this name");
        else
            assert_string_equal(reason, gai_strerror(code));
    }
}

static void an_empty_answer_is_no_address(void)
{
    reset();
    assert_int_equal(ask("db:5432", ADDR_ANY), -ENOENT);
    assert_null(reason);
}

// A resolver may know more families than we do, or other forms of one.
static int resolve_oddly(const char *name, const char *service, const struct addrinfo *hints,
                         struct addrinfo **ret_list)
{
    int rc = fake_resolve(name, service, hints, ret_list);
    (*ret_list)->ai_addrlen--;
    (*ret_list)->ai_next->ai_family = AF_UNIX;
    return rc;
}

static void an_address_that_is_none_is_left_out(void)
{
    reset();
    for (int i = 0; i < 3; i++)
        answers[i] = (const char *[]){"::a", "1.1.1.1", "1.1.1.2"}[i];
    table.resolve = resolve_oddly;
    assert_int_equal(ask("db:5432", ADDR_ANY), 0);
    table.resolve = fake_resolve;
    assert_list("tcp:1.1.1.2:0");
}

static int resolve_on_two_links(const char *name, const char *service, const struct addrinfo *hints,
                                struct addrinfo **ret_list)
{
    int rc = fake_resolve(name, service, hints, ret_list);
    for (struct addrinfo *info = *ret_list; info; info = info->ai_next)
        ((struct sockaddr_in6 *)(void *)info->ai_addr)->sin6_scope_id = info->ai_next ? 1 : 2;
    return rc;
}

static void the_same_number_on_two_links_is_two_addresses(void)
{
    reset();
    answers[0] = answers[1] = answers[2] = "fe80::1";
    table.resolve = resolve_on_two_links;
    assert_int_equal(ask("db:5432", ADDR_ANY), 0);
    table.resolve = fake_resolve;
    assert_list("tcp:[fe80::1%1]:0 tcp:[fe80::1%2]:0");
}

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void without_memory_nobody_is_asked(void)
{
    reset();
    table.allocate = no_memory;
    assert_int_equal(ask("db:5432", ADDR_ANY), -ENOMEM);
    table.allocate = kernel_real.allocate;
    assert_int_equal(questions, 0);
}

// ---- Names -------------------------------------------------------------------------------------------

static void the_official_name_is_told_to_who_asks(void)
{
    static const struct {
        const char *text, *name;
        int flags;
    } cases[] = {
        {"db:5432", "db.example", AI_CANONNAME},
        {"127.0.0.1:80", "", 0},
        {"localhost:http", "", 0},
    };
    reset();
    answers[0] = "1.2.3.4";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct addr addr;
        struct name_host host;
        assert_int_equal(addr_parse(cases[i].text, &addr, NULL, 0), 0);
        asked_hints.ai_flags = 0;
        assert_int_equal(name_resolve_host(&addr, ADDR_V4, SOON, &host, &reason), 0);
        assert_string_equal(host.official, cases[i].name);
        assert_int_equal(host.list.count, 1);
        assert_int_equal(asked_hints.ai_flags, cases[i].flags);
    }
}

static void an_address_has_a_name_or_a_reason(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char name[ADDR_HOST_SIZE] = "";
    reset();
    assert_int_equal(name_reverse((struct sockaddr *)&address, sizeof address, SOON, name, &reason),
                     0);
    assert_string_equal(name, "db.example");
    assert_int_not_equal(asked_by, gettid());
    code = EAI_AGAIN;
    assert_int_equal(name_reverse((struct sockaddr *)&address, sizeof address, SOON, name, &reason),
                     -EAGAIN);
    assert_string_equal(reason, gai_strerror(EAI_AGAIN));
    code = EAI_SYSTEM;
    system_error = EMFILE;
    assert_int_equal(name_reverse((struct sockaddr *)&address, sizeof address, SOON, name, &reason),
                     -EMFILE);
    assert_null(reason);
}

static void a_name_that_cannot_be_asked_for_has_no_reason(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char name[ADDR_HOST_SIZE] = "";
    reset();
    code = EAI_MEMORY;
    assert_int_equal(name_reverse((struct sockaddr *)&address, sizeof address, SOON, name, &reason),
                     -ENOMEM);
    assert_null(reason);

    reset();
    asked_by = 0;
    table.allocate = no_memory;
    assert_int_equal(name_reverse((struct sockaddr *)&address, sizeof address, SOON, name, &reason),
                     -ENOMEM);
    table.allocate = kernel_real.allocate;
    assert_null(reason);
    task_cancel(self(), -ECANCELED);
    assert_int_equal(name_reverse((struct sockaddr *)&address, sizeof address, SOON, name, &reason),
                     -ECANCELED);
    self()->cancelled = 0;
    assert_null(reason);
    assert_int_equal(asked_by, 0);
    assert_string_equal(name, "");
}

// ---- Deadlines ----------------------------------------------------------------------------------------

static int ask_slowly(void *deadline)
{
    struct addr addr;
    struct name_list nothing;
    const char *why;
    assert_int_equal(addr_parse("slow:5432", &addr, NULL, 0), 0);
    return name_resolve(&addr, ADDR_ANY, *(int64_t *)deadline, &nothing, &why) != -ETIMEDOUT;
}

static void a_deadline_leaves_the_resolver_to_itself(void)
{
    reset();
    int freed_before = freed;
    int64_t deadline = SOON;
    assert_int_equal(sem_init(&begun, 0, 0), 0);
    assert_int_equal(sem_init(&may_end, 0, 0), 0);
    bell_group *group = bell_group_open();
    assert_int_equal(bell_go(group, ask_slowly, &deadline), 0);
    while (sem_trywait(&begun) < 0)
        assert_int_equal(bell_sleep(0), 0);
    timers_expire(&self()->loop->timers, deadline); // as if it had passed
    assert_int_equal(bell_group_wait(group, BELL_NEVER), 0);

    answers[0] = "1.1.1.1";
    assert_int_equal(ask("db:5432", ADDR_ANY), 0); // others are answered meanwhile
    assert_list("tcp:1.1.1.1:0");
    assert_int_equal(freed, freed_before + 1);
    assert_int_equal(sem_post(&may_end), 0);
    while (freed < freed_before + 2)
        assert_int_equal(bell_sleep(0), 0);
    bell_group_close(group);
    sem_destroy(&begun);
    sem_destroy(&may_end);
}

int main(void)
{
    use_table();
    table.resolve = fake_resolve;
    table.resolve_free = fake_resolve_free;
    table.name_of = fake_name_of;
    const struct CMUnitTest tests[] = {
        ON_EACH(numbers_and_loopback_are_not_looked_up),
        ON_EACH(the_families_alternate),
        ON_EACH(too_many_addresses_are_cut),
        ON_EACH(the_question_is_asked_as_it_should_be),
        ON_EACH(failures_keep_the_words_of_the_resolver),
        ON_EACH(an_empty_answer_is_no_address),
        ON_EACH(an_address_that_is_none_is_left_out),
        ON_EACH(the_same_number_on_two_links_is_two_addresses),
        ON_EACH(without_memory_nobody_is_asked),
        ON_EACH(the_official_name_is_told_to_who_asks),
        ON_EACH(an_address_has_a_name_or_a_reason),
        ON_EACH(a_name_that_cannot_be_asked_for_has_no_reason),
        ON_EACH(a_deadline_leaves_the_resolver_to_itself),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
