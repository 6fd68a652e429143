/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/aesmd-message.h"

#include <stdbool.h>
#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

enum { FIELD_TIMEOUT = 9, UNKNOWN_CALL = 20, VARINT_MAX = 10 };

/* Places in the name of a key. */
enum { NAME_SIGNER_SIZE = 4, NAME_SIGNER = 6, NAME_PRODUCT = 54, NAME_ALGORITHM = 154 };

/* ---- out ----------------------------------------------------------------------------------------------- */

static void put_varint(struct buf *b, uint64_t value)
{
        for (; value >= 0x80; value >>= 7)
                buf_append_byte(b, (uint8_t)(value | 0x80));
        buf_append_byte(b, (uint8_t)value);
}

static void put_number(struct buf *b, unsigned int field, uint64_t value)
{
        put_varint(b, field << 3 | WIRE_VARINT);
        put_varint(b, value);
}

static void put_bytes(struct buf *b, unsigned int field, struct view value)
{
        put_varint(b, field << 3 | WIRE_BYTES);
        put_varint(b, value.n);
        buf_append_view(b, value);
}

static void put_key_name(struct buf *b, unsigned int field)
{
        uint8_t name[AESMD_KEY_NAME_SIZE] = {[NAME_SIGNER_SIZE] = SGX_HASH_SIZE,
                                             [NAME_PRODUCT] = SGX_INTEL_QE_PROD_ID,
                                             [NAME_ALGORITHM] = SGX_QUOTE_KEY_ECDSA_P256};

        memcpy(name + NAME_SIGNER, sgx_intel_qe_mrsigner, SGX_HASH_SIZE);
        put_bytes(b, field, view_of(name, sizeof(name)));
}

static int put_call(struct buf *b, enum aesmd_call call, struct buf *fields, uint32_t timeout_ms)
{
        put_number(fields, FIELD_TIMEOUT, timeout_ms);
        put_bytes(b, call, buf_view(fields));
        return fields->failed ? fields->failed : b->failed;
}

int aesmd_put_init_quote(struct buf *b, uint32_t timeout_ms)
{
        cleanup_buf struct buf fields = buf_with_max(AESMD_REQUEST_MAX);

        put_key_name(&fields, 1);
        put_number(&fields, 3, true);
        put_number(&fields, 4, SGX_HASH_SIZE);
        return put_call(b, AESMD_INIT_QUOTE_EX, &fields, timeout_ms);
}

int aesmd_put_get_quote_size(struct buf *b, uint32_t timeout_ms)
{
        cleanup_buf struct buf fields = buf_with_max(AESMD_REQUEST_MAX);

        put_key_name(&fields, 1);
        return put_call(b, AESMD_GET_QUOTE_SIZE_EX, &fields, timeout_ms);
}

int aesmd_put_get_quote(struct buf *b, struct view report, uint32_t room, uint32_t timeout_ms)
{
        cleanup_buf struct buf fields = buf_with_max(AESMD_REQUEST_MAX);

        put_bytes(&fields, 1, report);
        put_key_name(&fields, 2);
        put_number(&fields, 4, room);
        return put_call(b, AESMD_GET_QUOTE_EX, &fields, timeout_ms);
}

/* ---- in ------------------------------------------------------------------------------------------------ */

static uint64_t take_varint(struct cursor *c)
{
        uint64_t value = 0;

        for (unsigned int i = 0; i < VARINT_MAX; i++) {
                uint8_t byte = cursor_u8(c);

                if (i == VARINT_MAX - 1 && byte > 1)
                        break;
                value |= (uint64_t)(byte & 0x7f) << (7 * i);
                if (!(byte & 0x80))
                        return value;
        }
        c->failed = true;
        return 0;
}

/* A field, its number set and its content in one of `number` and `bytes`. */
struct field {
        uint64_t id;
        enum wire wire;
        uint64_t number;
        struct view bytes;
};

static struct field take_field(struct cursor *c)
{
        uint64_t key = take_varint(c), n;
        struct field f = {.id = key >> 3, .wire = key & 7};

        switch (f.wire) {
        case WIRE_VARINT:
                f.number = take_varint(c);
                break;
        case WIRE_BYTES:
                n = take_varint(c);
                if (n > cursor_rest(c).n)
                        c->failed = true;
                f.bytes = cursor_take(c, c->failed ? 0 : (size_t)n);
                break;
        case WIRE_64:
                f.bytes = cursor_take(c, sizeof(uint64_t));
                break;
        case WIRE_32:
                f.bytes = cursor_take(c, sizeof(uint32_t));
                break;
        default:
                c->failed = true;
        }
        if (f.id == 0)
                c->failed = true;
        return f;
}

/* A field that is known must be of its kind, and there once.  False where it isn't. */
static bool once(const struct field *f, enum wire wire, uint64_t *seen)
{
        bool again = *seen & 1ULL << f->id;

        *seen |= 1ULL << f->id;
        return f->wire == wire && !again;
}

static int parse_fields(struct view v, enum aesmd_call call, struct aesmd_answer *a, struct error *err)
{
        enum wire second = call == AESMD_GET_QUOTE_SIZE_EX ? WIRE_VARINT : WIRE_BYTES;
        struct cursor c = cursor_of(v);
        uint64_t seen = 0;

        while (!cursor_at_end(&c)) {
                struct field f = take_field(&c);

                if (c.failed || (f.id == 1 && (!once(&f, WIRE_VARINT, &seen) || f.number > UINT32_MAX)) ||
                    (f.id == 2 && !once(&f, second, &seen)))
                        return error_set(err, -EBADMSG, "field %llu of the answer can't be read",
                                         (unsigned long long)f.id);
                if (f.id == 1)
                        a->code = (uint32_t)f.number;
                if (f.id == 2) {
                        a->bytes = f.bytes;
                        a->size = f.number;
                }
        }
        return seen & 2 ? 0 : error_set(err, -EBADMSG, "the answer has no code");
}

int aesmd_answer_parse(struct view message, enum aesmd_call call, struct aesmd_answer *ret_answer,
                       struct error *err)
{
        struct cursor c = cursor_of(message);
        struct aesmd_answer a = {.code = 0};
        struct view fields = view_of(NULL, 0);
        uint64_t answered = 0;
        int r;

        while (!cursor_at_end(&c)) {
                struct field f = take_field(&c);

                bool known = f.id == call || f.id == UNKNOWN_CALL;

                if (c.failed || (known && (answered || f.wire != WIRE_BYTES)))
                        return error_set(err, -EBADMSG, "it is no message of its protocol");
                if (known) {
                        answered = f.id;
                        fields = f.bytes;
                }
        }
        if (!answered)
                return error_set(err, -EBADMSG, "it answers another call than was asked");
        if (answered == UNKNOWN_CALL)
                return error_set(err, -EOPNOTSUPP, "it doesn't know quotes by ECDSA");
        r = parse_fields(fields, call, &a, err);
        if (r == 0)
                *ret_answer = a;
        return r;
}

/* ---- codes --------------------------------------------------------------------------------------------- */

static const char *const codes[] = {
        [1] = "AESM_UNEXPECTED_ERROR (1): something failed in the service; its log says what",
        [2] = "AESM_NO_DEVICE_ERROR (2): there is no SGX device",
        [3] = "AESM_PARAMETER_ERROR (3): it doesn't take the report, or the size of the quote",
        [7] = "AESM_SESSION_INVALID (7): the session with its enclave is over",
        [9] = "AESM_PSDA_UNAVAILABLE (9): a platform service is missing",
        [12] = "AESM_NETWORK_ERROR (12): it can't reach the service that has the platform's certificates",
        [13] = "AESM_NETWORK_BUSY_ERROR (13): the service that has the platform's certificates is busy",
        [14] = "AESM_PROXY_SETTING_ASSIST (14): its proxy is set wrongly",
        [15] = "AESM_FILE_ACCESS_ERROR (15): it can't read or write a file of its own",
        [16] = "AESM_SGX_PROVISION_FAILED (16): the platform could not be provisioned",
        [17] = "AESM_SERVICE_STOPPED (17): the service was stopped",
        [18] = "AESM_BUSY (18): it has too much to do; try again",
        [19] = "AESM_BACKEND_SERVER_BUSY (19): the server behind it has too much to do; try again",
        [20] = "AESM_UPDATE_AVAILABLE (20): the platform's software must be brought up to date first",
        [21] = "AESM_OUT_OF_MEMORY_ERROR (21): it is out of memory",
        [22] = "AESM_MSG_ERROR (22): it can't read the request",
        [23] = "AESM_THREAD_ERROR (23): it can't start a thread",
        [24] = "AESM_SGX_DEVICE_NOT_AVAILABLE (24): the SGX device can't be used",
        [25] = "AESM_ENABLE_SGX_DEVICE_FAILED (25): SGX can't be switched on",
        [29] = "AESM_OUT_OF_EPC (29): there is no memory left for enclaves",
        [30] = "AESM_SERVICE_UNAVAILABLE (30): its plug-ins quote-ex and ecdsa aren't installed",
        [31] = "AESM_UNRECOGNIZED_PLATFORM (31): Intel's services don't know this platform",
        [32] = "AESM_ECDSA_ID_MISMATCH (32): the QE's identity has changed",
        [34] = "AESM_ERROR_STORED_KEY (34): the QE's stored key can't be used",
        [35] = "AESM_PUB_KEY_ID_MISMATCH (35): the QE's key has changed; try again",
        [36] = "AESM_INVALID_PCE_SIG_SCHEME (36): the platform's certification enclave signs otherwise",
        [37] = "AESM_ATT_KEY_BLOB_ERROR (37): the QE's stored key is damaged",
        [38] = "AESM_UNSUPPORTED_ATT_KEY_ID (38): it has no quoting enclave with ECDSA",
        [39] = "AESM_UNSUPPORTED_LOADING_POLICY (39): the QE can't be loaded as asked",
        [40] = "AESM_INTERFACE_UNAVAILABLE (40): the quoting enclave can't be loaded",
        [41] = "AESM_PLATFORM_LIB_UNAVAILABLE (41): the library for the platform's certificates is missing",
        [42] = "AESM_ATT_KEY_NOT_INITIALIZED (42): the QE has no key yet; try again",
        [43] = "AESM_ATT_KEY_CERT_DATA_INVALID (43): the platform's certificates can't be used",
        [44] = "AESM_NO_PLATFORM_CERT_DATA (44): the platform has no certificates; is it registered?",
        [45] = "AESM_ERROR_REPORT (45): the QE could not be reported on",
        [46] = "AESM_ENCLAVE_LOST (46): its enclave is gone, as after a suspend; try again",
        [47] = "AESM_INVALID_REPORT (47): the report was not made on this machine for its quoting enclave",
        [48] = "AESM_ENCLAVE_LOAD_ERROR (48): its enclave can't be loaded",
        [49] = "AESM_UNABLE_TO_GENERATE_QE_REPORT (49): the QE made no report",
        [50] = "AESM_KEY_CERTIFICATION_ERROR (50): the QE's key could not be certified",
        [51] = "AESM_CONFIG_UNSUPPORTED (51): it can't be set up as it was told",
};

const char *aesmd_code_text(uint32_t code)
{
        return code < ARRAY_SIZE(codes) ? codes[code] : NULL;
}
