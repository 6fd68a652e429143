/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  http_do() makes one transfer after the other until a reply is no redirect.  Each
 * transfer runs on the client's multi handle, which keeps the connections.  The body goes to the sink only
 * where the status says success; what a failure says is kept for the error's text.  The first body bytes of a
 * success check that the reply is the one asked for: its length, and for a resumed transfer its range.  A
 * server that ignores the range sends all again, and what the sink had is dropped here.
 */
#include "lib/image/http.h"

#include "lib/base/text.h"
#include "lib/image/reference.h"

#include <curl/curl.h>
#include <string.h>

enum {
        REDIRECTS_MAX = 5,
        CONNECT_SECONDS = 30,
        STALL_SECONDS = 60,
        RETRY_AFTER_MAX = 60,
        CHALLENGES_MAX = 16384
};

struct http_client {
        CURLM *multi;
        struct http_policy policy;
        char *unix_socket;
        char *ca_file;
        char *cert_file;
        char *key_file;
};

struct transfer {
        const struct http_client *client;
        const struct http_request *request;
        const char *url;
        bool send_authorization;
        CURL *easy;
        struct curl_slist *headers;
        char reason[CURL_ERROR_SIZE];
        uint64_t *delivered;
        uint64_t drop; /* body bytes that the sink has already */
        bool begun;    /* first body byte of a success was seen */
        int failed;    /* negative errno from a callback */
        struct error *err;
        struct buf body;
};

static int copy_option(const char *value, char **ret_copy)
{
        *ret_copy = value ? strdup(value) : NULL;
        return value && !*ret_copy ? -ENOMEM : 0;
}

int http_client_new(const struct http_policy *policy, struct http_client **ret_client, struct error *err)
{
        cleanup_http_client struct http_client *client = calloc(1, sizeof(*client));

        if (!client)
                return error_oom(err);
        client->policy = *policy; /* its strings are copied below */
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return error_set(err, -ENOMEM, "cannot set up libcurl");
        client->multi = curl_multi_init();
        if (!client->multi || copy_option(policy->unix_socket, &client->unix_socket) < 0 ||
            copy_option(policy->ca_file, &client->ca_file) < 0 ||
            copy_option(policy->cert_file, &client->cert_file) < 0 ||
            copy_option(policy->key_file, &client->key_file) < 0)
                return error_oom(err);
        *ret_client = take_pointer(&client);
        return 0;
}

void http_client_free(struct http_client *client)
{
        if (!client)
                return;
        curl_multi_cleanup(client->multi);
        free(client->unix_socket);
        free(client->ca_file);
        free(client->cert_file);
        free(client->key_file);
        free(client);
}

static void transfer_done(struct transfer *t)
{
        if (t->easy) {
                curl_multi_remove_handle(t->client->multi, t->easy);
                curl_easy_cleanup(t->easy);
        }
        for (struct curl_slist *h = t->headers; h; h = h->next)
                explicit_bzero(h->data, strlen(h->data));
        curl_slist_free_all(t->headers);
        buf_done(&t->body);
}

/* The value of response header `name`, or NULL; valid until the transfer ends. */
static const char *header(CURL *easy, const char *name, size_t index)
{
        struct curl_header *h;
        return curl_easy_header(easy, name, index, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

static bool is_success(long status)
{
        return status >= 200 && status < 300;
}

/* "bytes 100-199/200": begins where we asked? */
static bool range_fits(CURL *easy, uint64_t from)
{
        const char *range = header(easy, "Content-Range", 0);
        char number[24];

        if (!range || !string_starts_with(range, "bytes "))
                return false;
        range += strlen("bytes ");
        size_t n = strcspn(range, "-");
        uint64_t start;
        if (n >= sizeof(number))
                return false;
        memcpy(number, range, n);
        number[n] = '\0';
        return parse_u64(number, UINT64_MAX, &start) && start == from;
}

/* Looks at the head of a success before its body is used. */
static int begin_body(struct transfer *t, long status)
{
        const struct http_request *q = t->request;
        curl_off_t length = -1;

        t->begun = true;
        if (status == 206 && q->skip > 0)
                return range_fits(t->easy, q->skip)
                               ? 0
                               : error_set(t->err, -EBADMSG, "sent another range than was asked for");
        t->drop = q->skip;
        curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        if (q->has_size && length >= 0 && (uint64_t)length != q->size)
                return error_set(t->err, -EBADMSG, "offers %lld bytes, but it must be %llu",
                                 (long long)length, (unsigned long long)q->size);
        return 0;
}

static size_t take_body(char *p, size_t size, size_t n, void *user)
{
        struct transfer *t = user;
        struct view data = view_of(p, size * n);
        long status = 0;

        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        if (!is_success(status)) {
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

/* True where the URL's host is this machine, so that no proxy and no TLS is needed to reach it. */
static bool is_local(const char *url)
{
        CURLU *u = curl_url();
        char *host = NULL;
        bool local = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                     curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                     reference_domain_is_loopback(host);

        curl_free(host);
        curl_url_cleanup(u);
        return local;
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
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME,
                         (long)(c->policy.stall_seconds ? c->policy.stall_seconds : STALL_SECONDS));
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, c->policy.unverified ? 0L : 1L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, c->policy.unverified ? 0L : 2L);
        curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        if (c->unix_socket)
                curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, c->unix_socket);
        if (c->unix_socket || is_local(t->url))
                curl_easy_setopt(e, CURLOPT_PROXY, "");
        if (c->ca_file)
                curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
        if (c->cert_file)
                curl_easy_setopt(e, CURLOPT_SSLCERT, c->cert_file);
        if (c->key_file)
                curl_easy_setopt(e, CURLOPT_SSLKEY, c->key_file);
        if (t->request->form)
                curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, t->request->form);
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
}

static int prepare(struct transfer *t, struct error *err)
{
        const struct http_request *q = t->request;
        cleanup_free char *range = q->skip ? string_printf("bytes=%llu-", (unsigned long long)q->skip) : NULL;

        t->easy = curl_easy_init();
        if (!t->easy || (q->skip && !range) || add_header(t, "Accept", q->accept) < 0 ||
            add_header(t, "Range", range) < 0 ||
            add_header(t, "Authorization", t->send_authorization ? q->authorization : NULL) < 0)
                return error_oom(err);
        set_options(t);
        return 0;
}

static int run_multi(struct transfer *t, CURLcode *ret_code, struct error *err)
{
        CURLMcode m = curl_multi_add_handle(t->client->multi, t->easy);
        int running = 1, left;

        while (m == CURLM_OK && running) {
                m = curl_multi_perform(t->client->multi, &running);
                if (m == CURLM_OK && running)
                        m = curl_multi_poll(t->client->multi, NULL, 0, 1000, NULL);
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
        {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
        {CURLE_PARTIAL_FILE, -ECONNRESET},
        {CURLE_RECV_ERROR, -ECONNRESET},
        {CURLE_SEND_ERROR, -ECONNRESET},
        {CURLE_GOT_NOTHING, -ECONNRESET},
        {CURLE_HTTP2, -ECONNRESET},
        {CURLE_HTTP2_STREAM, -ECONNRESET},
        {CURLE_OUT_OF_MEMORY, -ENOMEM},
};

static int transfer_fault(const struct transfer *t, CURLcode code, struct error *err)
{
        const char *why = *t->reason ? t->reason : curl_easy_strerror(code);
        long os_errno = 0;

        if (t->failed < 0)
                return t->failed; /* the callback said why */
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
        if (code == CURLE_COULDNT_CONNECT && os_errno)
                why = strerror((int)os_errno);
        for (size_t i = 0; i < ARRAY_SIZE(curl_errors); i++)
                if (curl_errors[i].code == code)
                        return error_set(err, curl_errors[i].r, "%s", why);
        return error_set(err, -EIO, "%s", why);
}

static int fill_response(struct transfer *t, struct http_response *r, struct error *err)
{
        cleanup_buf struct buf challenges = buf_with_max(CHALLENGES_MAX);
        const char *type = header(t->easy, "Content-Type", 0);
        const char *digest = header(t->easy, "Docker-Content-Digest", 0);
        const char *value;
        curl_off_t retry_after = 0;

        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &r->status);
        curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
        r->retry_after = retry_after > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (unsigned)retry_after;
        /* Another origin's challenge must not decide where our credentials go. */
        for (size_t i = 0; t->send_authorization && (value = header(t->easy, "WWW-Authenticate", i)); i++)
                if (buf_printf(&challenges, "%s\n", value) < 0)
                        return error_set(err, -EBADMSG, "its WWW-Authenticate headers are too long");
        r->content_type = strdup(type ? type : "");
        r->digest = strdup(digest ? digest : "");
        r->challenges = strdup(buf_string(&challenges));
        if (!r->content_type || !r->digest || !r->challenges)
                return error_oom(err);
        r->body = t->body;
        t->body = buf_with_max(0);
        return 0;
}

/* "scheme://host:port" in lower case; NULL on failure. */
static char *origin_of(const char *url)
{
        CURLU *u = curl_url();
        char *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;

        if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
                origin = string_printf("%s://%s:%s", scheme, host, port);
        curl_free(scheme);
        curl_free(host);
        curl_free(port);
        curl_url_cleanup(u);
        return origin;
}

/* How much of a URL may be shown: queries hold signatures and names of users. */
static int shown(const char *url)
{
        size_t n = strcspn(url, "?#");
        return n < 300 ? (int)n : 300;
}

static int check_scheme(const struct http_client *client, const char *url, struct error *err)
{
        if (strncasecmp(url, "https://", 8) == 0)
                return 0;
        if (strncasecmp(url, "http://", 7) != 0)
                return error_set(err, -EPERM, "%.*s: neither http nor https", shown(url), url);
        if (client->policy.allow_plain || client->unix_socket || is_local(url))
                return 0;
        return error_set(err, -EPERM, "%.*s: plain http is refused except with this machine", shown(url),
                         url);
}

/* Where a redirect leads to, checked; *ret_url is NULL where the reply is none. */
static int next_hop(struct transfer *t, char **ret_url, bool *send_authorization, struct error *err)
{
        long status = 0;
        char *target = NULL;

        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &target);
        if (status < 300 || status > 399 || !target) {
                *ret_url = NULL;
                return 0;
        }
        if (t->request->form)
                return error_set(err, -EPERM, "redirects a request that holds credentials to %.*s",
                                 shown(target), target);
        if (strncasecmp(t->url, "https://", 8) == 0 && strncasecmp(target, "https://", 8) != 0)
                return error_set(err, -EPERM, "redirects from https to %.300s, which is not protected",
                                 target);
        int r = check_scheme(t->client, target, err);
        if (r < 0) {
                error_wrap(err, "redirects to");
                return r;
        }
        cleanup_free char *from = origin_of(t->url), *to = origin_of(target);
        if (!from || !to || strcmp(from, to) != 0)
                *send_authorization = false;
        *ret_url = strdup(target);
        return *ret_url ? 0 : error_oom(err);
}

/* One transfer. *ret_next is the redirect's target, or NULL where *ret_response is the reply. */
static int do_one(struct http_client *client, const struct http_request *request, const char *url,
                  bool *send_authorization, uint64_t *delivered, char **ret_next,
                  struct http_response *ret_response, struct error *err)
{
        CLEANUP(transfer_done)
        struct transfer t = {
                .client = client,
                .request = request,
                .url = url,
                .send_authorization = *send_authorization,
                .delivered = delivered,
                .err = err,
                .body = buf_with_max(HTTP_ERROR_BODY_MAX),
        };
        CURLcode code = CURLE_OK;
        int r = prepare(&t, err);

        if (r == 0)
                r = run_multi(&t, &code, err);
        if (r == 0 && code != CURLE_OK)
                r = transfer_fault(&t, code, err);
        if (r == 0)
                r = next_hop(&t, ret_next, send_authorization, err);
        if (r < 0 || *ret_next)
                return r;
        log_debug(client->policy.log, "%s %.*s", request->form ? "POST" : "GET", shown(url), url);
        return fill_response(&t, ret_response, err);
}

int http_do(struct http_client *client, const struct http_request *request, uint64_t *delivered,
            struct http_response *ret_response, struct error *err)
{
        cleanup_http_response struct http_response response = {0};
        cleanup_free char *url = strdup(request->url);
        bool send_authorization = true;
        int r = url ? check_scheme(client, url, err) : error_oom(err);

        for (int hops = 0; r == 0; hops++) {
                char *next = NULL;
                if (hops > REDIRECTS_MAX)
                        return error_set(err, -EPERM, "redirects more than %d times", REDIRECTS_MAX);
                r = do_one(client, request, url, &send_authorization, delivered, &next, &response, err);
                if (r == 0 && !next)
                        break;
                free(url);
                url = next;
        }
        if (r < 0)
                return r;
        *ret_response = response;
        response = (struct http_response){0};
        return 0;
}

bool http_is_transient(int r, const struct http_response *response)
{
        if (r < 0)
                return r == -ECONNRESET || r == -ETIMEDOUT || r == -EHOSTDOWN;
        return response->status == 429 || response->status == 500 || response->status == 502 ||
               response->status == 503 || response->status == 504;
}

void http_response_done(struct http_response *response)
{
        free(response->content_type);
        free(response->digest);
        free(response->challenges);
        buf_done(&response->body);
        *response = (struct http_response){0};
}

char *http_escape(const char *text)
{
        char *escaped = curl_easy_escape(NULL, text, 0);
        char *copy = escaped ? strdup(escaped) : NULL;

        curl_free(escaped);
        return copy;
}
