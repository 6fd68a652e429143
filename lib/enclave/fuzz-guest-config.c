/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-guest-config.c - any bytes as a configuration.  What is accepted must survive encoding and decoding
 * unchanged.
 */
#include "lib/enclave/guest-config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_guest_config struct guest_config config = {0};
        cleanup_guest_config struct guest_config again = {0};
        cleanup_buf struct buf encoded = buf_with_max(GUEST_CONFIG_MAX);
        cleanup_buf struct buf encoded_again = buf_with_max(GUEST_CONFIG_MAX);
        struct error err = {0};

        if (guest_config_decode(view_of(data, size), &config, &err) < 0) {
                if (!err.code || !*error_text(&err))
                        abort();
                return 0;
        }
        if (guest_config_encode(&config, &encoded, NULL) < 0 ||
            guest_config_decode(buf_view(&encoded), &again, NULL) < 0 ||
            guest_config_encode(&again, &encoded_again, NULL) < 0 ||
            !view_equal(buf_view(&encoded), buf_view(&encoded_again)))
                abort();
        return 0;
}
