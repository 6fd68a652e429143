/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/eif/metadata.h"

#include "lib/base/clock.h"
#include "lib/base/file.h"

/* json_dump_callback() into a struct buf. */
static int append(const char *p, size_t n, void *user)
{
        return buf_append(user, p, n) < 0 ? -1 : 0;
}

int eif_metadata_encode(const struct eif_metadata *m, struct buf *ret_b, struct error *err)
{
        char built[CLOCK_TEXT_MAX];
        json_t *object;
        int r;

        if (!clock_format(m->build_time, built, sizeof(built)))
                return error_set(err, -EINVAL, "the build time %lld is out of range",
                                 (long long)m->build_time);
        object = json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s}}", "ImageName", m->image_name,
                           "ImageVersion", m->image_version, "BuildMetadata", "BuildTime", built, "BuildTool",
                           m->build_tool, "BuildToolVersion", m->build_tool_version, "OperatingSystem",
                           m->operating_system, "KernelVersion", m->kernel_version);
        if (!object)
                return error_set(err, -EINVAL, "a name or version in the metadata is not UTF-8");
        /* Copies, since jansson would count references on what is const here. */
        r = json_object_set_new(object, "DockerInfo",
                                m->docker_info ? json_deep_copy(m->docker_info) : json_object());
        if (r == 0)
                r = json_object_set_new(object, "CustomMetadata",
                                        m->custom ? json_deep_copy(m->custom) : json_null());
        if (r == 0)
                r = json_dump_callback(object, append, ret_b, JSON_COMPACT);
        json_decref(object);
        if (r == 0)
                return 0;
        if (ret_b->failed == -E2BIG)
                return error_set(err, -E2BIG, "the metadata has more than %zu bytes", ret_b->max);
        return error_oom(err);
}

int eif_metadata_read_custom(int dirfd, const char *path, json_t **ret_custom, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(EIF_CUSTOM_METADATA_MAX);
        json_error_t problem;
        json_t *custom;
        int r = file_read(dirfd, path, EIF_CUSTOM_METADATA_MAX, &text, err);

        if (r < 0)
                return r;
        custom = json_loadb(buf_string(&text), text.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
        if (!custom)
                return error_set(err, -EBADMSG, "%s: line %d: %s; custom metadata must be JSON", path,
                                 problem.line, problem.text);
        *ret_custom = custom;
        return 0;
}
