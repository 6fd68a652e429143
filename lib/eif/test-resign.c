/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/eif/resign.h"

#include "lib/base/fd.h"
#include "lib/crypto/private-key.h"
#include "lib/crypto/test-keys.h"
#include "lib/eif/signature.h"
#include "lib/eif/test-image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { FROM = 1795132800, NOW = FROM + 1000, UNTIL = FROM + 86400 };

struct identity {
        struct test_keys pem;
        struct certificate *certificate;
        struct private_key *key;
        struct eif_signer signer;
};

static void identity_init(struct identity *ret_i, const char *group)
{
        test_keys_init(&ret_i->pem,
                       &(struct test_keys_spec){.group = group, .not_before = FROM, .not_after = UNTIL});
        assert_int_equal(certificate_parse(buf_view(&ret_i->pem.certificate_pem), &ret_i->certificate, NULL),
                         0);
        assert_int_equal(private_key_parse(buf_view(&ret_i->pem.key_pem), &ret_i->key, NULL), 0);
        ret_i->signer = (struct eif_signer){.certificate = ret_i->certificate, .key = ret_i->key};
}

static void identity_done(struct identity *i)
{
        test_keys_done(&i->pem);
        certificate_free(i->certificate);
        private_key_free(i->key);
}
#define cleanup_identity CLEANUP(identity_done)

/* Signs the file anew; the result's bytes. */
static struct buf resigned(int fd, const struct eif_signer *signer)
{
        cleanup_fd int out = test_empty_file();
        cleanup_eif struct eif *eif = NULL;
        struct eif_pcrs pcrs;
        struct error err = {0};

        assert_int_equal(eif_open(fd, &eif, &err), 0);
        if (eif_resign(eif, out, signer, &pcrs, &err) < 0)
                fail_msg("%s", error_text(&err));
        return test_file_bytes(out);
}

/* What a file says of itself must hold, and it must be signed by `certificate`. */
static void assert_signed(struct view file, const struct certificate *certificate)
{
        cleanup_fd int fd = test_file_of(file);
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};
        cleanup_eif_signature struct eif_signature s = {0};
        struct error err = {0};

        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(eif_measure(eif, NULL, NULL, &m, &err), 0);
        assert_int_equal(eif_verify_crc(eif, &m, &err), 0);
        assert_int_equal(eif_verify_signature(&m, NOW, &err), 0);
        assert_int_equal(eif_signature_decode(buf_view(&m.signature), &s, &err), 0);
        assert_true(view_equal(certificate_der(s.certificate), certificate_der(certificate)));
}

static void signing_an_image_later_gives_the_file_that_signing_at_once_gives(void **state)
{
        cleanup_identity struct identity id = {0};
        cleanup_fd int at_once = test_empty_file(), unsigned_file = test_empty_file();
        struct eif_pcrs pcrs;
        (void)state;

        identity_init(&id, "P-384");
        test_write_image(at_once, &id.signer, &pcrs);
        test_write_image(unsigned_file, NULL, &pcrs);
        cleanup_buf struct buf expected = test_file_bytes(at_once),
                               later = resigned(unsigned_file, &id.signer);
        assert_true(view_equal(buf_view(&expected), buf_view(&later)));
        assert_signed(buf_view(&later), id.certificate);
}

/* The larger signature first: a size that stays in the table shows either way. */
static void a_signature_is_replaced_by_a_longer_and_by_a_shorter_one(void **state)
{
        cleanup_identity struct identity small = {0}, large = {0};
        cleanup_fd int fd = test_empty_file();
        struct eif_pcrs pcrs;
        (void)state;

        identity_init(&small, "P-256");
        identity_init(&large, "P-521");
        test_write_image(fd, &small.signer, &pcrs);
        cleanup_buf struct buf longer = resigned(fd, &large.signer);
        assert_signed(buf_view(&longer), large.certificate);
        cleanup_fd int again = test_file_of(buf_view(&longer));
        cleanup_buf struct buf shorter = resigned(again, &small.signer);
        assert_signed(buf_view(&shorter), small.certificate);
        cleanup_buf struct buf first = test_file_bytes(fd);
        assert_true(view_equal(buf_view(&first), buf_view(&shorter)));
}

static void a_signature_is_taken_away(void **state)
{
        cleanup_identity struct identity id = {0};
        cleanup_fd int fd = test_empty_file();
        cleanup_buf struct buf expected = test_image_bytes();
        struct eif_pcrs pcrs;
        (void)state;

        identity_init(&id, "P-384");
        test_write_image(fd, &id.signer, &pcrs);
        cleanup_buf struct buf bare = resigned(fd, NULL);
        assert_true(view_equal(buf_view(&expected), buf_view(&bare)));
}

static void a_damaged_image_is_not_signed(void **state)
{
        cleanup_identity struct identity id = {0};
        cleanup_buf struct buf bytes = test_image_bytes();
        cleanup_fd int out = test_empty_file();
        cleanup_eif struct eif *eif = NULL;
        struct eif_pcrs pcrs;
        struct error err = {0};
        (void)state;

        identity_init(&id, "P-384");
        bytes.p[bytes.n - 1] ^= 1;
        cleanup_fd int fd = test_file_of(buf_view(&bytes));
        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(eif_resign(eif, out, &id.signer, &pcrs, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "the file is damaged"));
        uint8_t first = 1; /* no header was written: what is there is nobody's image */
        assert_int_equal(pread(out, &first, 1, 0), 1);
        assert_int_equal(first, 0);
}

/* Such a file of version 3, whose CRC holds. */
static int without_metadata(void)
{
        enum { AT_VERSION = 4, METADATA = 6585, AT_CRC = 0x220 };
        cleanup_buf struct buf file = test_image_bytes();
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};

        file.p[AT_VERSION + 1] = 3;
        file.p[METADATA + 1] = EIF_SECTION_RAMDISK;
        int fd = test_file_of(buf_view(&file));
        assert_int_equal(eif_open(fd, &eif, NULL), 0);
        assert_int_equal(eif_measure(eif, NULL, NULL, &m, NULL), 0);
        const uint8_t crc[] = {(uint8_t)(m.crc >> 24), (uint8_t)(m.crc >> 16), (uint8_t)(m.crc >> 8),
                               (uint8_t)m.crc};
        assert_int_equal(fd_pwrite_full(fd, crc, sizeof(crc), AT_CRC), 0);
        return fd;
}

static void an_old_image_without_metadata_gets_all_members(void **state)
{
        cleanup_identity struct identity id = {0};
        cleanup_fd int old = without_metadata();
        cleanup_eif struct eif *before = NULL, *after = NULL;
        cleanup_eif_measured struct eif_measured m = {0}, n = {0};
        (void)state;

        identity_init(&id, "P-256");
        cleanup_buf struct buf bytes = resigned(old, &id.signer);
        cleanup_fd int fd = test_file_of(buf_view(&bytes));
        assert_signed(buf_view(&bytes), id.certificate);
        assert_int_equal(eif_open(old, &before, NULL), 0);
        assert_int_equal(eif_measure(before, NULL, NULL, &m, NULL), 0);
        assert_int_equal(eif_open(fd, &after, NULL), 0);
        assert_int_equal(eif_header(after)->version, EIF_VERSION);
        assert_int_equal(eif_measure(after, NULL, NULL, &n, NULL), 0);
        assert_non_null(strstr(buf_string(&n.metadata),
                               "\"ImageName\":\"\",\"ImageVersion\":\"\",\"BuildMetadata\":{"));
        assert_true(digest_equal(&m.pcrs.pcr0, &n.pcrs.pcr0));
        assert_true(digest_equal(&m.pcrs.pcr2, &n.pcrs.pcr2));
}

static void sections_without_bytes_are_kept(void **state)
{
        cleanup_fd int fd = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL;
        struct eif_pcrs pcrs;
        (void)state;

        assert_int_equal(eif_writer_new(fd, EIF_FLAG_AARCH64, &w, NULL), 0);
        test_write_section(w, EIF_SECTION_KERNEL, view_of_string("K"));
        test_write_section(w, EIF_SECTION_CMDLINE, view_of_string(""));
        test_write_section(w, EIF_SECTION_METADATA, view_of_string("{}"));
        test_write_section(w, EIF_SECTION_RAMDISK, view_of_string(""));
        test_write_section(w, EIF_SECTION_RAMDISK, view_of_string("A"));
        test_write_section(w, EIF_SECTION_RAMDISK, view_of_string(""));
        assert_int_equal(eif_writer_finish(w, NULL, &pcrs, NULL), 0);
        cleanup_buf struct buf before = test_file_bytes(fd), after = resigned(fd, NULL);
        assert_true(view_equal(buf_view(&before), buf_view(&after)));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(signing_an_image_later_gives_the_file_that_signing_at_once_gives),
                cmocka_unit_test(a_signature_is_replaced_by_a_longer_and_by_a_shorter_one),
                cmocka_unit_test(a_signature_is_taken_away),
                cmocka_unit_test(a_damaged_image_is_not_signed),
                cmocka_unit_test(an_old_image_without_metadata_gets_all_members),
                cmocka_unit_test(sections_without_bytes_are_kept),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
