/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/reference.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses must format into something that parses to the same. */
static void check_round_trip(const struct reference *r)
{
        cleanup_reference struct reference again = {0};
        cleanup_free char *text = reference_format(r);

        if (!text || reference_parse(text, &again, NULL) < 0)
                abort();
        cleanup_free char *same = reference_format(&again);
        if (!same || strcmp(text, same) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_image_uri struct image_uri uri = {0};
        cleanup_free char *text = view_to_string(view_of(data, size));

        if (text && image_uri_parse(text, &uri, NULL) == 0 && uri.reference.path)
                check_round_trip(&uri.reference);
        return 0;
}
