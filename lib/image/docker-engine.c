/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker-daemon:REF: the local Docker engine, by its API over HTTP; no docker client is needed.
 *
 * Theory of operation.  GET /images/NAME/json says whether the engine knows the image, and its platform,
 * before anything large moves; GET /images/NAME/get exports it as a tar, which is spooled and then read as a
 * docker-archive. Both are part of every version of the API.
 */
#include "lib/image/docker-archive.h"
#include "lib/image/http.h"
#include "lib/image/progress.h"
#include "lib/image/sources.h"
#include "lib/image/spool.h"
#include "lib/format/strict-json.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include <string.h>
#include <unistd.h>

enum {
        INSPECT_MAX = 8 * 1024 * 1024,
        ENGINE_STALL_SECONDS = 600, /* an export begins only when the engine has gathered the layers */
};

#define DEFAULT_HOST "unix:///var/run/docker.sock"

struct engine {
        struct http_client *client;
        const char *host; /* as in DOCKER_HOST, for messages */
        char *url;        /* "http://docker" for a Unix socket */
};

static void engine_done(struct engine *e)
{
        http_client_free(e->client);
        free(e->url);
}

/* DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, as the docker client has them. */
static int connect_tcp(const char *address, struct http_policy *policy, struct engine *e, struct error *err)
{
        const char *verify = getenv("DOCKER_TLS_VERIFY");
        const char *folder = getenv("DOCKER_CERT_PATH");
        const char *home = getenv("HOME");
        cleanup_free char *fallback = string_printf("%s/.docker", home ? home : "");
        bool tls = verify && *verify;

        if (!folder || !*folder)
                folder = fallback;
        cleanup_free char *ca = string_printf("%s/ca.pem", folder);
        cleanup_free char *cert = string_printf("%s/cert.pem", folder);
        cleanup_free char *key = string_printf("%s/key.pem", folder);
        e->url = string_printf("%s://%s", tls ? "https" : "http", address);
        if (!fallback || !ca || !cert || !key || !e->url)
                return error_oom(err);
        if (tls) {
                policy->ca_file = ca;
                policy->cert_file = cert;
                policy->key_file = key;
        }
        policy->allow_plain = !tls; /* whoever sets DOCKER_HOST to tcp: has decided that */
        return http_client_new(policy, &e->client, err);
}

static int engine_connect(const struct image_options *options, struct engine *e, struct error *err)
{
        const char *host = getenv("DOCKER_HOST");
        struct http_policy policy = {.stall_seconds = ENGINE_STALL_SECONDS, .log = options->log};

        e->host = host && *host ? host : DEFAULT_HOST;
        if (string_starts_with(e->host, "tcp://"))
                return connect_tcp(e->host + strlen("tcp://"), &policy, e, err);
        if (!string_starts_with(e->host, "unix://"))
                return error_set(err, -EHOSTDOWN, "DOCKER_HOST=%.200s: neither unix:// nor tcp://", e->host);
        policy.unix_socket = e->host + strlen("unix://");
        e->url = strdup("http://docker");
        if (!e->url)
                return error_oom(err);
        return http_client_new(&policy, &e->client, err);
}

/* What the engine itself says of a failure: {"message": "..."}. */
static int engine_fault(const struct http_response *response, int r, struct error *err)
{
        cleanup_json json_t *root = NULL;
        const char *message = NULL;

        if (strict_json_parse(buf_view(&response->body), HTTP_ERROR_BODY_MAX, &root, NULL) == 0)
                message = json_string_value(json_object_get(root, "message"));
        return error_set(err, r, "the Docker engine answers with status %ld%s%.300s", response->status,
                         message ? ": " : "", message ? message : "");
}

static int engine_get(const struct engine *e, const char *name, const char *what, image_sink_fn sink,
                      void *user, struct http_response *ret_response, struct error *err)
{
        cleanup_free char *url = string_printf("%s/images/%s/%s", e->url, name, what);
        const struct http_request request = {.url = url, .sink = sink, .user = user};
        uint64_t delivered = 0;

        return url ? http_do(e->client, &request, &delivered, ret_response, err) : error_oom(err);
}

static int check_platform(struct view json, const char *arch, struct error *err)
{
        cleanup_json json_t *root = NULL;
        const char *os = NULL, *has = NULL;
        int r = strict_json_parse(json, INSPECT_MAX, &root, err);

        if (r == 0)
                r = strict_json_string(root, "Os", &os, err);
        if (r == 0)
                r = strict_json_string(root, "Architecture", &has, err);
        if (r < 0) {
                error_wrap(err, "the Docker engine's answer");
                return r;
        }
        if ((os && *os && strcmp(os, "linux") != 0) || (has && *has && strcmp(has, arch) != 0))
                return error_set(err, -ENOENT,
                                 "the Docker engine has it for %.40s/%.40s only, wanted is linux/%s",
                                 os ? os : "", has ? has : "", arch);
        return 0;
}

static int inspect(const struct engine *e, const char *name, const char *arch, struct error *err)
{
        cleanup_http_response struct http_response response = {0};
        cleanup_buf struct buf json = buf_with_max(INSPECT_MAX);
        int r = engine_get(e, name, "json", image_sink_buf, &json, &response, err);

        if (r < 0) {
                error_wrap(err, "the Docker engine at %.200s does not answer", e->host);
                return r == -ENOMEM ? r : -EHOSTDOWN;
        }
        if (response.status == 404)
                return error_set(err, -ENOENT, "the Docker engine does not know the image");
        if (response.status != 200)
                return engine_fault(&response, -EHOSTDOWN, err);
        return check_platform(buf_view(&json), arch, err);
}

struct spooled_export {
        int fd;
        uint64_t max;
        struct progress_meter meter;
        struct image_progress progress;
};

static int take_export(void *user, struct view data, struct error *err)
{
        struct spooled_export *x = user;

        x->progress.done += data.n;
        if (x->progress.done > x->max)
                return error_set(err, -EFBIG, "more than %llu bytes", (unsigned long long)x->max);
        progress_report(&x->meter, &x->progress);
        return spool_write(x->fd, data, err);
}

/* Spools the engine's tar; *ret_fd is at its beginning. */
static int export_image(const struct engine *e, const char *name, const struct image_options *options,
                        int *ret_fd, struct error *err)
{
        cleanup_http_response struct http_response response = {0};
        cleanup_fd int fd = -1;
        int r = file_unnamed(options->spool_dir, &fd, err);
        struct spooled_export x = {
                .fd = fd,
                .max = options->max_image_size,
                .meter.options = options,
                .progress.phase = IMAGE_PHASE_EXPORT,
        };

        if (r == 0)
                r = engine_get(e, name, "get", take_export, &x, &response, err);
        if (r == 0 && response.status != 200)
                r = engine_fault(&response, -EIO, err);
        if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = error_errno(err, errno, "cannot rewind the temporary file");
        if (r < 0) {
                error_wrap(err, "export from the Docker engine");
                return r == -ENOENT || r == -EHOSTDOWN ? -EIO : r;
        }
        *ret_fd = take_fd(&fd);
        return 0;
}

/* The name as the engine takes it: a digest makes the tag superfluous. */
static char *engine_name(const struct reference *r)
{
        struct reference without_tag = *r;

        if (r->has_digest)
                without_tag.tag = NULL;
        return reference_format(&without_tag);
}

int docker_engine_open(const struct image_uri *uri, const struct image_options *options,
                       struct image_source **ret_source, struct image_content *ret_content, struct error *err)
{
        CLEANUP(engine_done) struct engine e = {0};
        cleanup_tar_index struct tar_index *index = NULL;
        cleanup_free char *name = engine_name(&uri->reference);
        int fd = -1;
        int r = name ? engine_connect(options, &e, err) : error_oom(err);

        if (r == 0)
                r = inspect(&e, name, options->arch, err);
        if (r == 0)
                r = export_image(&e, name, options, &fd, err);
        if (r == 0)
                r = tar_index_open(fd, options, &index, err);
        if (r == 0)
                r = docker_archive_open_tar(index, NULL, options, ret_source, ret_content, err);
        if (r < 0)
                return r;
        index = NULL;
        if (uri->reference.path) {
                free(ret_content->name);
                ret_content->name = reference_format(&uri->reference);
        }
        return 0;
}
