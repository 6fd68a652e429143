/* SPDX-License-Identifier: Apache-2.0 */
#include "sgx-sign/sgx-sign.h"

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/sgx/sigstruct.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

enum { TEXT_MAX = 16 * 1024, NAME_WIDTH = 18 };

/* Where output goes, and how. */
struct printer {
        struct buf text;
        bool json;
        bool begun;
};

/* Starts a field; its value follows. */
static void name(struct printer *p, const char *title, const char *json_name)
{
        if (p->json)
                buf_printf(&p->text, "%s  \"%s\": ", p->begun ? ",\n" : "{\n", json_name);
        else
                buf_printf(&p->text, "%s%-*s", p->begun ? "\n" : "", NAME_WIDTH, title);
        p->begun = true;
}

static void number(struct printer *p, const char *title, const char *json_name, uint64_t value)
{
        name(p, title, json_name);
        buf_printf(&p->text, "%" PRIu64, value);
}

static void bits(struct printer *p, const char *title, const char *json_name, uint64_t value)
{
        name(p, title, json_name);
        buf_printf(&p->text, p->json ? "\"%#" PRIx64 "\"" : "%#" PRIx64, value);
}

static void text(struct printer *p, const char *title, const char *json_name, const char *value)
{
        name(p, title, json_name);
        buf_printf(&p->text, p->json ? "\"%s\"" : "%s", value);
}

static void bytes(struct printer *p, const char *title, const char *json_name, const uint8_t *value, size_t n)
{
        char hex[2 * SGX_HASH_SIZE + 1];

        hex_encode(value, n, hex);
        text(p, title, json_name, hex);
}

static void boolean(struct printer *p, const char *title, const char *json_name, bool value)
{
        name(p, title, json_name);
        buf_append_string(&p->text, p->json ? value ? "true" : "false" : value ? "yes" : "no");
}

/* What the attributes and their mask mean together. */
static const char *debugging(const struct sgx_sigstruct *s)
{
        if (!(s->attribute_mask.flags & SGX_ATTRIBUTE_DEBUG))
                return "allowed";
        return s->attributes.flags & SGX_ATTRIBUTE_DEBUG ? "required" : "forbidden";
}

static void print_fields(struct printer *p, const struct sgx_sigstruct *s, const uint8_t *mrsigner,
                         const char *problem)
{
        char date[sizeof("ffffffff")];

        snprintf(date, sizeof(date), "%08" PRIx32, s->date);
        bytes(p, "MRENCLAVE", "mrenclave", s->mrenclave, SGX_HASH_SIZE);
        bytes(p, "MRSIGNER", "mrsigner", mrsigner, SGX_HASH_SIZE);
        text(p, "Signature", "signature", problem ? problem : "valid");
        text(p, "Debugging", "debugging", debugging(s));
        number(p, "ISVPRODID", "isvprodid", s->isv_prod_id);
        number(p, "ISVSVN", "isvsvn", s->isv_svn);
        text(p, "Date", "date", date);
        bits(p, "Vendor", "vendor", s->vendor);
        boolean(p, "Debug signature", "debugSigstruct", s->debug);
        bits(p, "SWDEFINED", "swdefined", s->software_defined);
        bits(p, "ATTRIBUTES", "attributes", s->attributes.flags);
        bits(p, "  mask", "attributeMask", s->attribute_mask.flags);
        bits(p, "XFRM", "xfrm", s->attributes.xfrm);
        bits(p, "  mask", "xfrmMask", s->attribute_mask.xfrm);
        bits(p, "MISCSELECT", "miscselect", s->misc_select);
        bits(p, "  mask", "miscmask", s->misc_mask);
        bytes(p, "ISVFAMILYID", "isvfamilyid", s->isv_family_id, sizeof(s->isv_family_id));
        bytes(p, "ISVEXTPRODID", "isvextprodid", s->isv_ext_prod_id, sizeof(s->isv_ext_prod_id));
        buf_append_string(&p->text, p->json ? "\n}\n" : "\n");
}

static int show(const char *path, bool json, struct error *err)
{
        cleanup_buf struct buf file = buf_with_max(SGX_SIGSTRUCT_SIZE);
        struct printer p = {.text = buf_with_max(TEXT_MAX), .json = json};
        struct error problem = {0};
        uint8_t mrsigner[SGX_HASH_SIZE];
        struct sgx_sigstruct s;
        int r = file_read(AT_FDCWD, path, SGX_SIGSTRUCT_SIZE, &file, err), verified;

        if (r < 0)
                return r;
        r = sgx_sigstruct_decode(buf_view(&file), &s, err);
        if (r < 0)
                return error_wrap(err, "%s", path), r;
        verified = sgx_sigstruct_verify(&s, &problem);
        if (sgx_sigstruct_mrsigner(&s, mrsigner) < 0)
                return error_oom(err);
        print_fields(&p, &s, mrsigner, verified < 0 ? error_text(&problem) : NULL);
        if (fputs(buf_string(&p.text), stdout) < 0 || fflush(stdout) != 0)
                r = error_errno(err, errno, "cannot write to stdout");
        buf_done(&p.text);
        if (r == 0 && verified < 0)
                r = error_set(err, verified, "%s: %s", path, error_text(&problem));
        return r;
}

int show_command(int argc, char **argv)
{
        static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
        struct error err = {0};
        bool json = false;
        int option;

        opterr = 0;
        while ((option = getopt_long(argc, argv, "j", options, NULL)) >= 0) {
                if (option != 'j')
                        return sign_usage("an option that show doesn't have");
                json = true;
        }
        if (optind + 1 != argc)
                return sign_usage("show takes one signature");
        return show(argv[optind], json, &err) < 0 ? sign_failed(&err) : SIGN_OK;
}
