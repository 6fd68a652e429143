/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the http client that need no server; tests/e2e/test_image_faults.py has the rest. */
#include "lib/image/http-head.h"
#include "lib/image/http-proxy.h"
#include "lib/image/http-url.h"
#include "lib/image/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void ranges_are_read(void **state)
{
        struct http_range r;

        (void)state;
        assert_true(http_range_parse("bytes 5-9/10", &r));
        assert_int_equal(r.first, 5);
        assert_int_equal(r.last, 9);
        assert_true(r.has_total);
        assert_int_equal(r.total, 10);
        assert_true(http_range_parse("Bytes 0-0/*", &r));
        assert_false(r.has_total);
}

static void senseless_ranges_are_refused(void **state)
{
        static const char *const cases[] = {"",
                                            "bytes",
                                            "bytes ",
                                            "items 0-1/2",
                                            "bytes 5-4/10",
                                            "bytes 5-10/10",
                                            "bytes 5-9/",
                                            "bytes 5-9",
                                            "bytes */10",
                                            "bytes -9/10",
                                            "bytes 5-/10",
                                            "bytes 5-9/10 ",
                                            "bytes 5-9/*0",
                                            "bytes +5-9/10",
                                            "bytes 5-99999999999999999999/100000000000000000000"};
        struct http_range r;

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                if (http_range_parse(cases[i], &r))
                        fail_msg("'%s' was taken for a range", cases[i]);
}

static void retry_after_is_seconds_or_a_date(void **state)
{
        const int64_t now = 1445412480; /* Wed, 21 Oct 2015 07:28:00 GMT */
        static const struct {
                const char *text;
                uint32_t seconds;
        } cases[] = {
                {"0", 0},
                {"120", 120},
                {"99999999999999999999", INT32_MAX},
                {"Wed, 21 Oct 2015 07:28:30 GMT", 30},
                {"Wednesday, 21-Oct-15 07:29:00 GMT", 60},
                {"Wed Oct 21 07:28:05 2015", 5},
                {"Wed, 21 Oct 2015 07:27:00 GMT", 0},
                {"Fri, 31 Dec 9999 23:59:59 GMT", INT32_MAX},
        };
        uint32_t seconds;

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                assert_true(http_retry_after_parse(cases[i].text, now, &seconds));
                assert_int_equal(seconds, cases[i].seconds);
        }
        assert_false(http_retry_after_parse("", now, &seconds));
        assert_false(http_retry_after_parse("-5", now, &seconds));
        assert_false(http_retry_after_parse("soon", now, &seconds));
        assert_false(http_retry_after_parse("1.5", now, &seconds));
}

static void origins_differ_by_scheme_host_and_port(void **state)
{
        char *a = http_url_origin("https://User:pw@Example.ORG/x?y"), *b = http_url_origin("http://h:80/");

        (void)state;
        assert_string_equal(a, "https://example.org:443");
        assert_string_equal(b, "http://h:80");
        assert_null(http_url_origin("nonsense://"));
        free(a);
        free(b);
}

static void hosts_are_named_with_or_without_port(void **state)
{
        static const char *const hosts[] = {"a.example", "b.example:5000", "[::2]:80", NULL};

        (void)state;
        assert_true(http_url_is_among("http://A.example:77/x", hosts));
        assert_true(http_url_is_among("https://b.example:5000/", hosts));
        assert_true(http_url_is_among("http://[::2]/", hosts));
        assert_false(http_url_is_among("https://b.example/", hosts));
        assert_false(http_url_is_among("http://a.example.org/", hosts));
        assert_false(http_url_is_among("http://example/", hosts));
        assert_false(http_url_is_among("http://a.example/", NULL));
}

static void no_password_and_no_query_is_shown(void **state)
{
        char shown[HTTP_URL_SHOWN_MAX];
        char url[2000] = "https://h/";

        (void)state;
        http_url_show("https://user:secret@h:1/path?sig=secret#secret", shown);
        assert_string_equal(shown, "https://h:1/path");
        http_url_show("https://user:p@secret@h:1/path", shown);
        assert_string_equal(shown, "https://h:1/path");
        http_url_show("h/@x?secret", shown);
        assert_string_equal(shown, "h/@x");
        memset(url + strlen(url), 'a', 1500);
        http_url_show(url, shown);
        assert_true(strlen(shown) < HTTP_URL_SHOWN_MAX);
}

static void clear_proxies(void)
{
        static const char *const names[] = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                            "HTTPS_PROXY", "all_proxy",  "ALL_PROXY"};

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                unsetenv(names[i]);
}

static void expect_proxy(const char *url, const char *variable, const char *shown)
{
        cleanup_http_proxy struct http_proxy p = {0};
        struct error err = {0};

        assert_int_equal(http_proxy_find(url, &p, &err), 0);
        if (!variable) {
                assert_null(p.variable);
                assert_string_equal(p.url, "");
                return;
        }
        assert_string_equal(p.variable, variable);
        assert_string_equal(p.shown, shown);
}

static void the_environment_names_the_proxy(void **state)
{
        (void)state;
        clear_proxies();
        expect_proxy("https://h/", NULL, NULL);
        setenv("ALL_PROXY", "socks5h://s:1", 1);
        expect_proxy("https://h/", "ALL_PROXY", "socks5h://s:1");
        setenv("HTTPS_PROXY", "http://user:secret@p:3128/", 1);
        setenv("HTTP_PROXY", "q", 1);
        expect_proxy("https://h/", "HTTPS_PROXY", "http://p:3128");
        expect_proxy("http://h/", "HTTP_PROXY", "http://q");
        setenv("https_proxy", "https://r:8443", 1);
        expect_proxy("https://h/", "https_proxy", "https://r:8443");
        setenv("https_proxy", "", 1);
        expect_proxy("https://h/", NULL, NULL);
        clear_proxies();
}

static void unusable_proxies_are_refused_without_showing_them(void **state)
{
        static const char *const values[] = {"http://user:secret@", "ftp://user:secret@h", "http://h:secret"};

        (void)state;
        clear_proxies();
        for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
                cleanup_http_proxy struct http_proxy p = {0};
                struct error err = {0};
                setenv("HTTPS_PROXY", values[i], 1);
                assert_int_equal(http_proxy_find("https://h/", &p, &err), -EINVAL);
                assert_non_null(strstr(err.text, "HTTPS_PROXY"));
                assert_null(strstr(err.text, "secret"));
        }
        clear_proxies();
}

static void pauses_double_and_end(void **state)
{
        struct retry retry = {.first_pause_ms = 1000};
        uint64_t ms, expected = 1000;

        (void)state;
        for (int i = 1; i < RETRY_TRIES_MAX; i++, expected *= 2) {
                assert_true(retry_again(&retry, 0, 0, &ms));
                assert_in_range(ms, expected * 3 / 4, expected * 5 / 4);
        }
        assert_false(retry_again(&retry, 0, 0, &ms));
}

static void progress_begins_anew(void **state)
{
        struct retry retry = {.first_pause_ms = 1000};
        uint64_t ms;

        (void)state;
        for (int i = 1; i < 100; i++) {
                assert_true(retry_again(&retry, (uint64_t)i * RETRY_PROGRESS, 0, &ms));
                assert_in_range(ms, 750, 1250);
        }
        for (int i = 2; i < RETRY_TRIES_MAX; i++)
                assert_true(retry_again(&retry, 99 * (uint64_t)RETRY_PROGRESS + 5, 0, &ms));
        assert_false(retry_again(&retry, 99 * (uint64_t)RETRY_PROGRESS + 5, 0, &ms));
}

static void what_the_server_asks_for_is_the_least(void **state)
{
        struct retry retry = {.first_pause_ms = 10};
        uint64_t ms;

        (void)state;
        assert_true(retry_again(&retry, 0, 7, &ms));
        assert_in_range(ms, 7000, 7013);
        assert_true(retry_again(&retry, 0, RETRY_AFTER_MAX, &ms));
        assert_false(retry_again(&retry, 0, RETRY_AFTER_MAX + 1, &ms));
}

static void long_pauses_have_an_end(void **state)
{
        struct retry retry = {.first_pause_ms = 60 * 1000};
        uint64_t ms;

        (void)state;
        assert_true(retry_again(&retry, 0, 0, &ms));
        assert_in_range(ms, RETRY_PAUSE_MAX_MS * 3 / 4, RETRY_PAUSE_MAX_MS * 5 / 4);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ranges_are_read),
                cmocka_unit_test(senseless_ranges_are_refused),
                cmocka_unit_test(retry_after_is_seconds_or_a_date),
                cmocka_unit_test(origins_differ_by_scheme_host_and_port),
                cmocka_unit_test(hosts_are_named_with_or_without_port),
                cmocka_unit_test(no_password_and_no_query_is_shown),
                cmocka_unit_test(the_environment_names_the_proxy),
                cmocka_unit_test(unusable_proxies_are_refused_without_showing_them),
                cmocka_unit_test(pauses_double_and_end),
                cmocka_unit_test(progress_begins_anew),
                cmocka_unit_test(what_the_server_asks_for_is_the_least),
                cmocka_unit_test(long_pauses_have_an_end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
