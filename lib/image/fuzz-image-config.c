/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/image-config.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_image_config struct image_config c = {0};

        if (image_config_parse(view_of(data, size), &c, NULL) == 0 &&
            (c.raw_size != size || memcmp(c.raw, data, size) != 0 || !c.entrypoint || !c.user))
                abort();
        return 0;
}
