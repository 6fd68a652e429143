/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const types[] = {"", MANIFEST_TYPE_OCI, MANIFEST_TYPE_DOCKER_LIST};

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                cleanup_manifest struct manifest m = {0};
                const struct descriptor *chosen;
                struct error err = {0};
                if (manifest_parse(view_of(data, size), types[i], &m, &err) == 0 && m.kind == MANIFEST_INDEX)
                        (void)manifest_select(&m, "amd64", &chosen, &err);
        }
        return 0;
}
