/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image-dump - a program for tests: opens an image, fetches every layer and prints what it got as JSON.
 * Usage: image-dump [--arch A] [--authfile F] [--insecure] [--debug] [--spool-dir D] [--max-layer-size N]
 *        [--stall-seconds N] [--progress] URI
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

int main(int argc, char **argv)
{
        static const struct option long_options[] = {
                {"arch", required_argument, NULL, 'a'},
                {"authfile", required_argument, NULL, 'f'},
                {"insecure", no_argument, NULL, 'i'},
                {"debug", no_argument, NULL, 'd'},
                {"spool-dir", required_argument, NULL, 's'},
                {"max-layer-size", required_argument, NULL, 'm'},
                {"progress", no_argument, NULL, 'p'},
                {"stall-seconds", required_argument, NULL, 't'},
                {NULL, 0, NULL, 0},
        };
        struct log log = {.level = LOG_LEVEL_WARNING, .emit = log_emit_stderr};
        struct image_options options = {.log = &log};
        struct error err = {0};
        uint64_t stall;
        int c;

        while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
                if (c == 'a')
                        options.arch = optarg;
                else if (c == 'f')
                        options.authfile = optarg;
                else if (c == 'i')
                        options.insecure = true;
                else if (c == 'd')
                        log.level = LOG_LEVEL_DEBUG;
                else if (c == 's')
                        options.spool_dir = optarg;
                else if (c == 'p')
                        options.progress = count_progress;
                else if (c == 't' && parse_u64(optarg, 3600, &stall))
                        options.stall_seconds = (unsigned)stall;
                else if (c != 'm' || !parse_u64(optarg, UINT64_MAX, &options.max_layer_size))
                        return 2;
        }
        if (optind != argc - 1)
                return 2;
        if (dump(argv[optind], &options, &err) < 0) {
                fprintf(stderr, "image-dump: %s\n", error_text(&err));
                return 1;
        }
        return 0;
}
