/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-transfer.c - one exchange on the client's multi handle.
 *
 * The body goes to the sink only where the status says success; what a failure says is kept for the error's
 * text.  The first body bytes of a success check that the reply is the one asked for: its length, and for a
 * resumed transfer its range.  A server that ignores the range sends all again, and what the sink had is
 * dropped here.
 */
#include "lib/image/http-head.h"
#include "lib/image/http-internal.h"
#include "lib/image/http-url.h"

#include "lib/base/text.h"

#include <string.h>
#include <strings.h>

enum {
        CONNECT_SECONDS = 30,
        STALL_SECONDS = 60,
        POLL_MS = 1000,
        STOP_POLL_MS = 100, /* where somebody may want us to stop */
};

void transfer_done(struct transfer *t)
{
        if (t->easy) {
                curl_multi_remove_handle(t->client->multi, t->easy);
                curl_easy_cleanup(t->easy);
        }
        for (struct curl_slist *h = t->headers; h; h = h->next)
                explicit_bzero(h->data, strlen(h->data));
        curl_slist_free_all(t->headers);
        http_proxy_done(&t->proxy);
        buf_done(&t->body);
}

const char *transfer_header(const struct transfer *t, const char *name, size_t index)
{
        struct curl_header *h;
        return curl_easy_header(t->easy, name, index, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

long transfer_status(const struct transfer *t)
{
        long status = 0;

        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        return status;
}

static unsigned stall_seconds(const struct transfer *t)
{
        return t->client->policy.stall_seconds ? t->client->policy.stall_seconds : STALL_SECONDS;
}

/* A login page in between answers everything with success. */
static void hint_web_page(const struct transfer *t)
{
        const char *type = transfer_header(t, "Content-Type", 0);

        if (type && strncasecmp(type, "text/html", strlen("text/html")) == 0)
                error_hint(t->err, "it is a web page: perhaps a login page or a proxy's is in between");
}

/* A part was sent: the one asked for? */
static int check_range(struct transfer *t)
{
        const struct http_request *q = t->request;
        const char *value = transfer_header(t, "Content-Range", 0);
        struct http_range range;
        char text[64];

        if (q->skip == 0 || q->whole)
                return error_set(t->err, -EBADMSG, "sends a part where the whole was asked for");
        text_printable(view_of_string(value ? value : ""), text, sizeof(text));
        if (!value || !http_range_parse(value, &range))
                return error_set(t->err, -EBADMSG,
                                 "sends a part and does not say which (Content-Range \"%s\")", text);
        if (range.first != q->skip || (q->has_size && range.has_total && range.total != q->size) ||
            (q->has_size && range.last >= q->size))
                return error_set(t->err, -EBADMSG,
                                 "sent another range (%s) than was asked for (from byte %llu%s%llu)", text,
                                 (unsigned long long)q->skip, q->has_size ? " of " : "",
                                 (unsigned long long)q->size);
        return 0;
}

/* Looks at the head of a success before its body is used. */
static int begin_body(struct transfer *t, long status)
{
        const struct http_request *q = t->request;
        curl_off_t length = -1;

        t->begun = true;
        if (status == 206)
                return check_range(t);
        t->drop = q->skip;
        curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        if (!q->has_size || length < 0 || (uint64_t)length == q->size)
                return 0;
        error_set(t->err, -EBADMSG, "offers %lld bytes, but it must be %llu", (long long)length,
                  (unsigned long long)q->size);
        hint_web_page(t);
        return -EBADMSG;
}

static size_t take_body(char *p, size_t size, size_t n, void *user)
{
        struct transfer *t = user;
        struct view data = view_of(p, size * n);
        long status = transfer_status(t);

        if (status != 200 && status != 206) {
                size_t room = t->body.max - t->body.n;
                buf_append(&t->body, data.p, data.n < room ? data.n : room);
                return data.n;
        }
        if (!t->begun)
                t->failed = begin_body(t, status);
        size_t drop = t->drop < data.n ? (size_t)t->drop : data.n;
        t->drop -= drop;
        struct view rest = view_of(data.p + drop, data.n - drop);
        if (t->failed == 0 && rest.n > 0)
                t->failed = t->request->sink(t->request->user, rest, t->err);
        if (t->failed < 0)
                return CURL_WRITEFUNC_ERROR;
        *t->delivered += rest.n;
        return data.n;
}

/* libcurl keeps every header that it gets. */
static size_t count_header(char *p, size_t size, size_t n, void *user)
{
        struct transfer *t = user;

        (void)p;
        t->header_bytes += size * n;
        if (t->header_bytes <= HTTP_HEADERS_MAX)
                return size * n;
        t->failed = error_set(t->err, -EFBIG, "sends more than %d bytes of headers", HTTP_HEADERS_MAX);
        return CURL_WRITEFUNC_ERROR;
}

static int add_header(struct transfer *t, const char *name, const char *value)
{
        if (!value)
                return 0;
        cleanup_free char *line = string_printf("%s: %s", name, value);
        if (!line)
                return -ENOMEM;
        struct curl_slist *list = curl_slist_append(t->headers, line);
        explicit_bzero(line, strlen(line));
        if (!list)
                return -ENOMEM;
        t->headers = list;
        return 0;
}

/* True where the URL is at the one host that may see our certificate. */
static bool is_cert_host(const struct transfer *t)
{
        const char *const hosts[] = {t->client->cert_host, NULL};

        return !t->client->cert_host || http_url_is_among(t->url, hosts);
}

static void set_tls(struct transfer *t)
{
        const struct http_client *c = t->client;
        const struct http_policy *policy = &c->policy;
        bool unverified = http_url_is_among(t->url, policy->insecure);
        CURL *e = t->easy;

        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, unverified ? 0L : 1L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, unverified ? 0L : 2L);
        curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        if (c->ca_file)
                curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
        if (policy->authorities.n > 0) {
                struct curl_blob blob = {.data = (void *)(uintptr_t)policy->authorities.p,
                                         .len = policy->authorities.n,
                                         .flags = CURL_BLOB_NOCOPY};
                curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &blob);
                curl_easy_setopt(e, CURLOPT_PROXY_CAINFO_BLOB, &blob);
        }
        if (c->cert_file && is_cert_host(t)) {
                curl_easy_setopt(e, CURLOPT_SSLCERT, c->cert_file);
                curl_easy_setopt(e, CURLOPT_SSLKEY, c->key_file);
        }
}

static void set_options(struct transfer *t)
{
        const struct http_client *c = t->client;
        CURL *e = t->easy;

        curl_easy_setopt(e, CURLOPT_URL, t->url);
        curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->reason);
        curl_easy_setopt(e, CURLOPT_USERAGENT, "coffer/" COFFER_VERSION);
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 256L * 1024);
        curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)HTTP_FLOOR);
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)stall_seconds(t));
        set_tls(t);
        if (c->unix_socket)
                curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, c->unix_socket);
        curl_easy_setopt(e, CURLOPT_PROXY, t->proxy.url ? t->proxy.url : "");
        if (t->request->form)
                curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, t->request->form);
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
        curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, count_header);
        curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
}

static int prepare(struct transfer *t, struct error *err)
{
        const struct http_request *q = t->request;
        cleanup_free char *range =
                q->skip && !q->whole ? string_printf("bytes=%llu-", (unsigned long long)q->skip) : NULL;
        int r = 0;

        if (!t->client->unix_socket && !http_url_is_local(t->url))
                r = http_proxy_find(t->url, &t->proxy, err);
        if (r < 0)
                return r;
        t->easy = curl_easy_init();
        if (!t->easy || (q->skip && !q->whole && !range) || add_header(t, "Accept", q->accept) < 0 ||
            add_header(t, "Range", range) < 0 ||
            add_header(t, "Authorization", t->send_authorization ? q->authorization : NULL) < 0)
                return error_oom(err);
        set_options(t);
        return 0;
}

static int run_multi(struct transfer *t, CURLcode *ret_code, struct error *err)
{
        const atomic_bool *stop = t->client->policy.stop;
        CURLMcode m = curl_multi_add_handle(t->client->multi, t->easy);
        int running = 1, left;

        while (m == CURLM_OK && running) {
                if (stop && atomic_load(stop))
                        return error_set(err, -ECANCELED, "stopped");
                m = curl_multi_perform(t->client->multi, &running);
                if (m == CURLM_OK && running)
                        m = curl_multi_poll(t->client->multi, NULL, 0, stop ? STOP_POLL_MS : POLL_MS, NULL);
        }
        if (m != CURLM_OK)
                return error_set(err, -EIO, "libcurl: %s", curl_multi_strerror(m));
        for (CURLMsg *message; (message = curl_multi_info_read(t->client->multi, &left));)
                if (message->msg == CURLMSG_DONE && message->easy_handle == t->easy)
                        *ret_code = message->data.result;
        return 0;
}

static const struct {
        CURLcode code;
        int r;
} curl_errors[] = {
        {CURLE_COULDNT_CONNECT, -EHOSTDOWN},
        {CURLE_COULDNT_RESOLVE_HOST, -EHOSTDOWN},
        {CURLE_COULDNT_RESOLVE_PROXY, -EHOSTDOWN},
        {CURLE_SSL_CONNECT_ERROR, -EPROTO},
        {CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED},
        {CURLE_SSL_CACERT_BADFILE, -EINVAL},
        {CURLE_SSL_CERTPROBLEM, -EINVAL},
        {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
        {CURLE_PARTIAL_FILE, -ECONNRESET},
        {CURLE_RECV_ERROR, -ECONNRESET},
        {CURLE_SEND_ERROR, -ECONNRESET},
        {CURLE_GOT_NOTHING, -ECONNRESET},
        {CURLE_HTTP2, -ECONNRESET},
        {CURLE_HTTP2_STREAM, -ECONNRESET},
        {CURLE_OUT_OF_MEMORY, -ENOMEM},
};

/* The proxy answered the request for a tunnel with something else than success. */
static int tunnel_fault(const struct transfer *t, long status, struct error *err)
{
        error_set(err, -ECONNREFUSED, "the proxy %s (%s) refuses to connect, with status %ld", t->proxy.shown,
                  t->proxy.variable, status);
        if (status == 407)
                error_hint(err, "it wants credentials, or other ones: %s=http://USER:PASSWORD@HOST:PORT",
                           t->proxy.variable);
        else
                error_hint(err, "NO_PROXY names the hosts to be reached without it");
        return -ECONNREFUSED;
}

static int timeout_fault(const struct transfer *t, struct error *err)
{
        curl_off_t connected = 0;

        curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connected);
        if (connected == 0)
                return error_set(err, -ETIMEDOUT, "no connection within %d s", CONNECT_SECONDS);
        return error_set(err, -ETIMEDOUT, "slower than %d bytes per second for %u s", HTTP_FLOOR,
                         stall_seconds(t));
}

static int transfer_fault(const struct transfer *t, CURLcode code, struct error *err)
{
        const char *why = *t->reason ? t->reason : curl_easy_strerror(code);
        long os_errno = 0, tunnel = 0;
        int r = -EIO;

        if (t->failed < 0)
                return t->failed; /* the callback said why */
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
        curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
        if (tunnel >= 300)
                return tunnel_fault(t, tunnel, err);
        if (code == CURLE_OPERATION_TIMEDOUT)
                return timeout_fault(t, err);
        bool proxy = t->proxy.host && strstr(why, t->proxy.host);
        if (code == CURLE_COULDNT_CONNECT && os_errno)
                why = strerror((int)os_errno);
        for (size_t i = 0; i < ARRAY_SIZE(curl_errors); i++)
                if (curl_errors[i].code == code)
                        r = curl_errors[i].r;
        error_set(err, r, "%s", why);
        if (proxy)
                error_wrap(err, "the proxy %s (%s)", t->proxy.shown, t->proxy.variable);
        return r;
}

int transfer_run(struct transfer *t, struct error *err)
{
        CURLcode code = CURLE_OK;
        int r = prepare(t, err);

        if (r == 0)
                r = run_multi(t, &code, err);
        return r == 0 && code != CURLE_OK ? transfer_fault(t, code, err) : r;
}
