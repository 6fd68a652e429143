/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/eif/describe.h"

#include "lib/base/fd.h"
#include "lib/crypto/private-key.h"
#include "lib/crypto/test-keys.h"
#include "lib/eif/kernel.h"
#include "lib/eif/metadata.h"
#include "lib/eif/test-image.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { FROM = 1795132800, UNTIL = FROM + 86400 };

/* The keys of an object in order, with commas between. */
static struct buf keys_of(const json_t *object)
{
        struct buf b = buf_with_max(4096);
        const char *key;
        json_t *value;

        /* jansson's macro wants a non-const object; nothing is changed. */
        json_object_foreach ((json_t *)(uintptr_t)object, key, value)
                buf_printf(&b, "%s%s", b.n ? "," : "", key);
        return b;
}

static json_t *describe(struct view file, int64_t now)
{
        cleanup_fd int fd = test_file_of(file);
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};
        struct error err = {0};
        json_t *object = NULL;

        assert_int_equal(eif_open(fd, &eif, &err), 0);
        assert_int_equal(eif_measure(eif, NULL, NULL, &m, &err), 0);
        assert_int_equal(eif_describe(eif, &m, now, &object, &err), 0);
        return object;
}

static void an_unsigned_file_is_described_in_order(void **state)
{
        cleanup_buf struct buf file = test_image_bytes();
        json_t *object = describe(buf_view(&file), FROM);
        cleanup_buf struct buf keys = keys_of(object);
        cleanup_buf struct buf measurements = keys_of(json_object_get(object, "Measurements"));
        (void)state;

        assert_string_equal(buf_string(&keys),
                            "EifVersion,Measurements,IsSigned,CheckCRC,ImageName,ImageVersion,Metadata,Flags,"
                            "Architecture,DefaultMemory,DefaultCPUs,FileSize,Cmdline,Sections");
        assert_string_equal(buf_string(&measurements), "HashAlgorithm,PCR0,PCR1,PCR2");
        assert_true(json_is_true(json_object_get(object, "CheckCRC")));
        assert_string_equal(json_string_value(json_object_get(object, "ImageName")), "t");
        assert_true(json_is_null(json_object_get(object, "ImageVersion")));
        assert_string_equal(json_string_value(json_object_get(object, "Architecture")), "x86_64");
        assert_string_equal(json_string_value(json_object_get(object, "Cmdline")), "console=ttyS0");
        assert_int_equal(json_array_size(json_object_get(object, "Sections")), 5);
        json_decref(object);
}

static struct buf signed_file(void)
{
        cleanup_test_keys struct test_keys pem = {0};
        cleanup_certificate struct certificate *certificate = NULL;
        cleanup_private_key struct private_key *key = NULL;
        cleanup_fd int fd = test_empty_file();
        struct eif_pcrs pcrs;
        struct error err = {0};

        test_keys_init(&pem,
                       &(struct test_keys_spec){.group = "P-384", .not_before = FROM, .not_after = UNTIL});
        assert_int_equal(certificate_parse(buf_view(&pem.certificate_pem), &certificate, &err), 0);
        assert_int_equal(private_key_parse(buf_view(&pem.key_pem), &key, &err), 0);
        test_write_image(fd, &(struct eif_signer){.certificate = certificate, .key = key}, &pcrs);
        return test_file_bytes(fd);
}

static void a_signed_file_shows_who_signed(void **state)
{
        cleanup_buf struct buf file = signed_file();
        json_t *object = describe(buf_view(&file), FROM);
        cleanup_buf struct buf keys = keys_of(object);
        cleanup_buf struct buf measurements = keys_of(json_object_get(object, "Measurements"));
        cleanup_buf struct buf certificate = keys_of(json_object_get(object, "SigningCertificate"));
        (void)state;

        assert_true(strncmp(buf_string(&keys),
                            "EifVersion,Measurements,IsSigned,SigningCertificate,CheckCRC,SignatureCheck,"
                            "ImageName,",
                            86) == 0);
        assert_string_equal(buf_string(&measurements), "HashAlgorithm,PCR0,PCR1,PCR2,PCR8");
        assert_string_equal(buf_string(&certificate), "IssuerName,Algorithm,NotBefore,NotAfter,Signature");
        assert_true(json_is_true(json_object_get(object, "SignatureCheck")));
        json_decref(object);
}

static void what_is_wrong_becomes_a_value(void **state)
{
        cleanup_buf struct buf file = signed_file();
        json_t *object;
        (void)state;

        object = describe(buf_view(&file), UNTIL + 1);
        assert_true(json_is_false(json_object_get(object, "SignatureCheck")));
        assert_non_null(strstr(json_string_value(json_object_get(object, "SignatureError")), "expired"));
        assert_true(json_is_true(json_object_get(object, "CheckCRC")));
        json_decref(object);

        file.p[560] ^= 1;         /* the first byte of the kernel */
        file.p[6560 + 12] = 0xff; /* the first byte of the command line: no UTF-8 */
        file.p[6585 + 12] = '[';  /* the first byte of the metadata: no JSON */
        object = describe(buf_view(&file), FROM);
        assert_true(json_is_false(json_object_get(object, "CheckCRC")));
        assert_true(json_is_false(json_object_get(object, "SignatureCheck")));
        assert_non_null(strstr(json_string_value(json_object_get(object, "SignatureError")),
                               "but the file measures"));
        assert_string_equal(json_string_value(json_object_get(object, "Cmdline")),
                            "\xef\xbf\xbdonsole=ttyS0");
        assert_string_equal(json_string_value(json_object_get(object, "Metadata")), "[\"ImageName\":\"t\"}");
        json_decref(object);
}

/* A user's own metadata stand beside what the builder wrote and never in its place. */
static void custom_metadata_hide_nothing(void **state)
{
        static const char metadata_json[] =
                "{\"ImageName\":\"n\",\"BuildMetadata\":{\"BuildTool\":\"qt\"},\"DockerInfo\":{\"Id\":\"1\"},"
                "\"CustomMetadata\":{\"BuildTool\":\"forged\",\"DockerInfo\":\"forged\",\"team\":\"db\"}}";
        cleanup_fd int fd = test_empty_file();
        cleanup_eif_writer struct eif_writer *w = NULL;
        struct eif_pcrs pcrs;
        (void)state;

        assert_int_equal(eif_writer_new(fd, 0, &w, NULL), 0);
        test_write_section(w, EIF_SECTION_KERNEL, view_of_string("k"));
        test_write_section(w, EIF_SECTION_CMDLINE, view_of_string("c"));
        test_write_section(w, EIF_SECTION_METADATA, view_of_string(metadata_json));
        assert_int_equal(eif_writer_finish(w, NULL, &pcrs, NULL), 0);
        cleanup_buf struct buf file = test_file_bytes(fd);
        json_t *object = describe(buf_view(&file), FROM);
        const json_t *shown = json_object_get(object, "Metadata");
        assert_string_equal(json_string_value(json_object_get(shown, "BuildTool")), "qt");
        assert_true(json_is_object(json_object_get(shown, "DockerInfo")));
        assert_string_equal(json_string_value(json_object_get(shown, "team")), "db");
        json_decref(object);
}

static const struct eif_metadata metadata = {
        .image_name = "redis",
        .image_version = "7",
        .build_time = FROM,
        .build_tool = "qt",
        .build_tool_version = "0.1.0",
        .operating_system = "Linux",
        .kernel_version = "6.1.0",
};

static void metadata_has_the_fields_of_the_format_in_order(void **state)
{
        cleanup_buf struct buf b = buf_with_max(EIF_METADATA_MAX);
        struct error err = {0};
        (void)state;

        assert_int_equal(eif_metadata_encode(&metadata, &b, &err), 0);
        assert_string_equal(
                buf_string(&b),
                "{\"ImageName\":\"redis\",\"ImageVersion\":\"7\",\"BuildMetadata\":{\"BuildTime\":"
                "\"2026-11-20T00:00:00Z\",\"BuildTool\":\"qt\",\"BuildToolVersion\":\"0.1.0\","
                "\"OperatingSystem\":\"Linux\",\"KernelVersion\":\"6.1.0\"},\"DockerInfo\":{},"
                "\"CustomMetadata\":null}");
}

static void metadata_that_cannot_be_written_is_refused(void **state)
{
        cleanup_buf struct buf small = buf_with_max(10), large = buf_with_max(EIF_METADATA_MAX);
        struct eif_metadata bad = metadata;
        struct error err = {0};
        (void)state;

        assert_int_equal(eif_metadata_encode(&metadata, &small, &err), -E2BIG);
        assert_string_equal(error_text(&err), "the metadata has more than 10 bytes");
        bad.image_name = "\xff";
        assert_int_equal(eif_metadata_encode(&bad, &large, &err), -EINVAL);
}

static void custom_metadata_is_any_json_up_to_its_limit(void **state)
{
        char name[] = "/tmp/test-metadata-XXXXXX";
        char blank[EIF_CUSTOM_METADATA_MAX];
        cleanup_fd int fd = mkstemp(name);
        struct error err = {0};
        json_t *custom = NULL;
        (void)state;

        assert_int_equal(write(fd, "{\"team\":\"db\"}", 13), 13);
        assert_int_equal(eif_metadata_read_custom(AT_FDCWD, name, &custom, &err), 0);
        assert_string_equal(json_string_value(json_object_get(custom, "team")), "db");
        json_decref(custom);
        custom = NULL;
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, "\"db\"", 4, 0), 4);
        assert_int_equal(eif_metadata_read_custom(AT_FDCWD, name, &custom, &err), 0);
        assert_string_equal(json_string_value(custom), "db");
        json_decref(custom);
        custom = NULL;
        assert_int_equal(pwrite(fd, "{\"a\":1,\"a\":2}", 13, 0), 13);
        assert_int_equal(eif_metadata_read_custom(AT_FDCWD, name, &custom, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "duplicate"));
        assert_int_equal(pwrite(fd, "{\"team\":\"db\"}", 13, 0), 13);
        assert_int_equal(write(fd, "\n{", 2), 2);
        assert_int_equal(eif_metadata_read_custom(AT_FDCWD, name, &custom, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), ": line 2: "));
        memset(blank, ' ', sizeof(blank));
        assert_int_equal(write(fd, blank, sizeof(blank)), sizeof(blank));
        assert_int_equal(eif_metadata_read_custom(AT_FDCWD, name, &custom, &err), -EFBIG);
        assert_null(custom);
        unlink(name);
}

/* A bzImage's first sectors, with a release behind them. */
static void make_bzimage(uint8_t head[static 0x400])
{
        static const uint8_t magic[] = {0x55, 0xaa, 0, 0, 'H', 'd', 'r', 'S'};
        static const char version[] = "6.1.0-18-cloud-amd64 (builder@host) #1 SMP";

        memset(head, 0, 0x400);
        memcpy(head + 0x1fe, magic, sizeof(magic));
        head[0x20e] = 0x80; /* at 0x200 + 0x80 */
        head[0x211] = 1;
        memcpy(head + 0x280, version, sizeof(version));
}

static void only_kernels_that_boot_pass(void **state)
{
        static const uint8_t magic[] = {'A', 'R', 'M', 0x64};
        uint8_t head[0x400], arm[64] = {0};
        cleanup_free char *release = NULL;
        struct error err = {0};
        (void)state;

        make_bzimage(head);
        assert_int_equal(eif_kernel_check(view_of(head, sizeof(head)), sizeof(head), 0, &err), 0);
        release = eif_kernel_release(view_of(head, sizeof(head)));
        assert_string_equal(release, "6.1.0-18-cloud-amd64");
        assert_int_equal(eif_kernel_check(view_of(head, sizeof(head)), sizeof(head), EIF_FLAG_AARCH64, &err),
                         -EBADMSG);
        assert_non_null(
                strstr(error_text(&err), "the kernel is an x86 kernel; aarch64 needs an uncompressed Image"));
        head[0x1f4] = 2; /* 4 sectors behind the first, unless told otherwise, and 2 times 16 bytes */
        assert_int_equal(eif_kernel_check(view_of(head, sizeof(head)), 2592, 0, &err), 0);
        assert_int_equal(eif_kernel_check(view_of(head, sizeof(head)), 2591, 0, &err), -EBADMSG);
        assert_string_equal(error_text(&err), "the kernel is cut short: it has 2591 of its 2592 bytes");
        head[0x1f1] = 7; /* of these 7 */
        assert_int_equal(eif_kernel_check(view_of(head, sizeof(head)), 4128, 0, &err), 0);
        assert_int_equal(eif_kernel_check(view_of(head, sizeof(head)), 4127, 0, &err), -EBADMSG);
        head[0x211] = 0;
        assert_int_equal(eif_kernel_check(view_of(head, sizeof(head)), sizeof(head), 0, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "a zImage"));

        memcpy(arm + 0x38, magic, sizeof(magic));
        assert_int_equal(eif_kernel_check(view_of(arm, sizeof(arm)), sizeof(arm), EIF_FLAG_AARCH64, &err),
                         -EBADMSG);
        assert_non_null(strstr(error_text(&err), "text_offset is 0"));
        arm[10] = 0x20;
        assert_int_equal(eif_kernel_check(view_of(arm, sizeof(arm)), sizeof(arm), EIF_FLAG_AARCH64, &err), 0);
        assert_int_equal(eif_kernel_check(view_of(arm, sizeof(arm)), sizeof(arm), 0, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "an aarch64 Image; x86_64 needs a bzImage"));
        assert_null(eif_kernel_release(view_of(arm, sizeof(arm))));
}

static void kernels_of_the_wrong_kind_are_named(void **state)
{
        static const struct {
                const char *bytes, *text;
        } cases[] = {
                {"\x7f"
                 "ELF",
                 "an ELF file, perhaps vmlinux"},
                {"\x1f\x8b", "a gzip file"},
                {"070701", "a cpio archive"},
                {"", "the kernel is empty"},
                {"hello", "the kernel is of no known kind"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = {0};

                assert_int_equal(
                        eif_kernel_check(view_of_string(cases[i].bytes), strlen(cases[i].bytes), 0, &err),
                        -EBADMSG);
                assert_non_null(strstr(error_text(&err), cases[i].text));
                assert_null(eif_kernel_release(view_of_string(cases[i].bytes)));
        }
}

static void what_is_no_release_gives_none(void **state)
{
        uint8_t head[0x400];
        (void)state;

        make_bzimage(head);
        head[0x20f] = 0xff;
        assert_null(eif_kernel_release(view_of(head, sizeof(head))));
        make_bzimage(head);
        assert_null(eif_kernel_release(view_of(head, 0x280 + 5))); /* ends within the word */
        make_bzimage(head);
        head[0x20e] = 0; /* says that there is none, and at 0x200 is what looks like one */
        head[0x200] = '6';
        head[0x201] = ' ';
        assert_null(eif_kernel_release(view_of(head, sizeof(head))));
        make_bzimage(head);
        memset(head + 0x280, '6', 257); /* longer than any release */
        head[0x280 + 257] = ' ';
        assert_null(eif_kernel_release(view_of(head, sizeof(head))));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_unsigned_file_is_described_in_order),
                cmocka_unit_test(a_signed_file_shows_who_signed),
                cmocka_unit_test(what_is_wrong_becomes_a_value),
                cmocka_unit_test(custom_metadata_hide_nothing),
                cmocka_unit_test(metadata_has_the_fields_of_the_format_in_order),
                cmocka_unit_test(metadata_that_cannot_be_written_is_refused),
                cmocka_unit_test(custom_metadata_is_any_json_up_to_its_limit),
                cmocka_unit_test(only_kernels_that_boot_pass),
                cmocka_unit_test(kernels_of_the_wrong_kind_are_named),
                cmocka_unit_test(what_is_no_release_gives_none),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
