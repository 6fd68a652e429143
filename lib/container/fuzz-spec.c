/* SPDX-License-Identifier: Apache-2.0 */
/* An input is a config.json; it is read as a process and as resources, too. */
#include "lib/container/spec-parse.h"
#include "lib/container/spec-validate.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct view text = view_of(data, size);
        /* One for all inputs: mapping it takes longer than a parse. */
        static struct arena arena = {.fd = -1};
        struct spec *spec;
        struct spec_process *process;
        struct spec_resources *resources;
        struct error err = {0};

        if (!arena.base && arena_new_private(&arena, NULL) < 0)
                return 0;
        memset(arena.base, 0, arena.used);
        arena.used = 0;
        if (spec_parse(text, "/bundle", &arena, NULL, &spec, &err) == 0) {
                (void)spec_annotation(spec, "run.oci.handler");
                (void)spec_validate(spec, NULL, &err);
                (void)spec_validate_rootless(spec, NULL, &err);
        }
        (void)spec_parse_process(text, &arena, NULL, &process, &err);
        (void)spec_parse_resources(text, &arena, NULL, &resources, &err);
        return 0;
}
