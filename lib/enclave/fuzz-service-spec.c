/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-service-spec.c - any bytes as a container (first byte odd) or a process.  What is accepted must
 * survive encoding and decoding unchanged.
 */
#include "lib/enclave/service-protocol.h"
#include "lib/enclave/service-spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_container(struct view input)
{
        cleanup_service_container struct service_container once = {0}, twice = {0};
        cleanup_buf struct buf encoded = buf_with_max(SERVICE_SPEC_MAX),
                               again = buf_with_max(SERVICE_SPEC_MAX);
        struct error err = {0};

        if (service_container_decode(input, &once, &err) < 0) {
                if (!err.code)
                        abort();
                return;
        }
        if (service_container_encode(&once, &encoded, NULL) < 0)
                abort();
        if (service_container_decode(buf_view(&encoded), &twice, NULL) < 0 ||
            service_container_encode(&twice, &again, NULL) < 0 ||
            !view_equal(buf_view(&encoded), buf_view(&again)))
                abort();
}

static void try_process(struct view input)
{
        cleanup_service_process struct service_process once = {0}, twice = {0};
        cleanup_buf struct buf encoded = buf_with_max(SERVICE_SPEC_MAX),
                               again = buf_with_max(SERVICE_SPEC_MAX);
        struct error err = {0};

        if (service_process_decode(input, &once, &err) < 0) {
                if (!err.code)
                        abort();
                return;
        }
        if (service_process_encode(&once, &encoded, NULL) < 0)
                return; /* the records that are always written may be what is too much */
        if (service_process_decode(buf_view(&encoded), &twice, NULL) < 0 ||
            service_process_encode(&twice, &again, NULL) < 0 ||
            !view_equal(buf_view(&encoded), buf_view(&again)))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct view input = size > 0 ? view_of(data + 1, size - 1) : view_of(data, 0);

        if (size > 0 && data[0] & 1)
                try_container(input);
        else
                try_process(input);
        return 0;
}
