/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/docker-archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const selectors[] = {NULL, "@0", "docker.io/library/a:latest"};
        cleanup_docker_archive_list struct docker_archive_list list = {0};
        const struct docker_archive_image *image;

        if (docker_archive_parse(view_of(data, size), &list, NULL) < 0)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(selectors); i++)
                if (docker_archive_select(&list, selectors[i], &image, NULL) == 0 &&
                    (!image->config || !image->layers))
                        abort();
        return 0;
}
