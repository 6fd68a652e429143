/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image-dump - a program for tests: opens an image, fetches every layer and prints what it got as JSON.
 * Usage: image-dump [OPTION...] URI; the options are the members of struct image_options, and --debug.
 */
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/crypto/hash.h"
#include "lib/format/json.h"
#include "lib/image/image.h"

#include <getopt.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static json_t *digest_json(const struct digest *d)
{
        char text[DIGEST_TEXT_MAX];

        if (!d)
                return json_null();
        digest_format(d, text);
        return json_string(text);
}

static json_t *list_json(char **list)
{
        json_t *array = json_array();

        for (; *list; list++)
                json_array_append_new(array, json_string(*list));
        return array;
}

static json_t *ports_json(const struct image_config *c)
{
        json_t *array = json_array();

        for (size_t i = 0; i < c->n_exposed_ports; i++) {
                const struct image_port *p = &c->exposed_ports[i];
                json_array_append_new(array, json_pack("[iii]", p->first, p->last, (int)p->protocol));
        }
        return array;
}

static json_t *config_json(const struct image_config *c)
{
        json_t *labels = json_object(), *diff_ids = json_array();

        for (size_t i = 0; i < c->n_labels; i++)
                json_object_set_new(labels, c->labels[i].name, json_string(c->labels[i].value));
        for (size_t i = 0; i < c->n_diff_ids; i++)
                json_array_append_new(diff_ids, digest_json(&c->diff_ids[i]));
        return json_pack("{so so so so so so ss ss ss ss ss so}", "entrypoint", list_json(c->entrypoint),
                         "cmd", list_json(c->cmd), "env", list_json(c->env), "ports", ports_json(c), "labels",
                         labels, "diff_ids", diff_ids, "working_dir", c->working_dir, "user", c->user,
                         "stop_signal", c->stop_signal, "architecture", c->architecture, "os", c->os, "raw",
                         json_stringn((const char *)c->raw, c->raw_size));
}

static int hash_file(int fd, struct digest *ret_digest)
{
        cleanup_hash struct hash h = HASH_NONE;
        uint8_t chunk[65536];
        ssize_t n;

        (void)hash_init(&h, HASH_SHA256);
        while ((n = read(fd, chunk, sizeof(chunk))) > 0)
                hash_update(&h, chunk, (size_t)n);
        return n < 0 ? -errno : hash_final(&h, ret_digest);
}

static int dump_layers(struct image *image, json_t *layers, struct error *err)
{
        for (size_t i = 0; i < image_layer_count(image); i++) {
                cleanup_fd int fd = -1;
                struct stat st;
                struct digest digest;
                int r = image_fetch_layer(image, i, &fd, err);
                if (r < 0)
                        return r;
                if (fstat(fd, &st) < 0 || st.st_nlink != 0 || hash_file(fd, &digest) < 0)
                        return error_set(err, -EIO, "spool of layer %zu is not an unlinked readable file",
                                         i + 1);
                json_array_append_new(layers, digest_json(&digest));
        }
        return 0;
}

static int dump(const char *uri, const struct image_options *options, struct error *err)
{
        cleanup_image struct image *image = NULL;
        cleanup_json json_t *layers = json_array();
        int r = image_open(uri, options, &image, err);

        if (r == 0)
                r = dump_layers(image, layers, err);
        if (r < 0)
                return r;
        cleanup_json json_t *all =
                json_pack("{ss so so so sO}", "name", image_name(image), "id", digest_json(image_id(image)),
                          "manifest_digest", digest_json(image_manifest_digest(image)), "config",
                          config_json(image_config(image)), "layers", layers);
        cleanup_free char *text = json_dumps(all, JSON_INDENT(1));
        puts(text ? text : "null");
        return 0;
}

static void count_progress(void *user, const struct image_progress *p)
{
        (void)user;
        fprintf(stderr, "progress: phase %d layer %zu/%zu done %llu/%llu\n", (int)p->phase, p->layer,
                p->n_layers, (unsigned long long)p->done, (unsigned long long)p->total);
}

/* What the command line says; numbers become options once all are read. */
struct arguments {
        struct image_options options;
        uint64_t stall_seconds;
        uint64_t first_pause_ms;
        uint64_t transfers;
        const char *insecure[8];
        size_t n_insecure;
        bool debug;
};

static const struct option long_options[] = {
        {"arch", required_argument, NULL, 'a'},
        {"authfile", required_argument, NULL, 'f'},
        {"ca-file", required_argument, NULL, 'c'},
        {"credential-helpers", no_argument, NULL, 'h'},
        {"first-pause-ms", required_argument, NULL, 'P'},
        {"insecure-registry", required_argument, NULL, 'i'},
        {"debug", no_argument, NULL, 'd'},
        {"spool-dir", required_argument, NULL, 's'},
        {"max-layer-size", required_argument, NULL, 'm'},
        {"max-image-size", required_argument, NULL, 'M'},
        {"max-ratio", required_argument, NULL, 'r'},
        {"ratio-floor", required_argument, NULL, 'R'},
        {"progress", no_argument, NULL, 'p'},
        {"stall-seconds", required_argument, NULL, 't'},
        {"transfers", required_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
};

static bool take_number(int c, const char *text, struct arguments *a)
{
        const struct {
                int c;
                uint64_t *value;
        } numbers[] = {{'m', &a->options.max_layer_size},
                       {'M', &a->options.max_image_size},
                       {'r', &a->options.max_ratio},
                       {'R', &a->options.ratio_floor},
                       {'t', &a->stall_seconds},
                       {'P', &a->first_pause_ms},
                       {'n', &a->transfers}};

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                if (numbers[i].c == c)
                        return parse_u64(text, UINT64_MAX, numbers[i].value);
        return false;
}

static bool take_argument(int c, char *text, struct arguments *a)
{
        switch (c) {
        case 'a':
                a->options.arch = text;
                return true;
        case 'f':
                a->options.registries.authfile = text;
                return true;
        case 'c':
                a->options.registries.ca_file = text;
                return true;
        case 'h':
                a->options.registries.credential_helpers = true;
                return true;
        case 'i':
                a->insecure[a->n_insecure++] = text;
                return a->n_insecure < ARRAY_SIZE(a->insecure);
        case 'd':
                a->debug = true;
                return true;
        case 's':
                a->options.spool_dir = text;
                return true;
        case 'p':
                a->options.progress = count_progress;
                return true;
        default:
                return text && take_number(c, text, a);
        }
}

int main(int argc, char **argv)
{
        struct log log = {.level = LOG_LEVEL_WARNING, .emit = log_emit_stderr};
        struct arguments a = {.options.log = &log};
        struct error err = {0};
        int c;

        while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
                if (!take_argument(c, optarg, &a))
                        return 2;
        if (optind != argc - 1)
                return 2;
        a.options.registries.stall_seconds = (unsigned)a.stall_seconds;
        a.options.registries.first_pause_ms = (unsigned)a.first_pause_ms;
        a.options.registries.insecure = a.insecure;
        a.options.transfers = (unsigned)a.transfers;
        log.level = a.debug ? LOG_LEVEL_DEBUG : log.level;
        if (dump(argv[optind], &a.options, &err) < 0) {
                fprintf(stderr, "image-dump: %s\n", error_text(&err));
                return 1;
        }
        return 0;
}
