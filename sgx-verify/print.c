/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is printed of an accepted quote: an object for JSON and YAML, a row for each field otherwise.  Of a
 * test quote the object is a level deeper, under "testQuote", and each row has a note, so that neither a
 * person nor a script takes one for evidence.
 */
#include "sgx-verify/sgx-verify.h"

#include "lib/base/text.h"
#include "lib/format/json.h"
#include "lib/sgx/sim-qe.h"

#include <string.h>
#include <unistd.h>

static const char note[] = "TEST QUOTE, evidence of nothing";

/* Fields in their order: a JSON name and value, and the title and text of a row. */
struct fields {
        json_t *object;
        json_t *rows;
        bool test;
        bool failed;
};

static void add(struct fields *f, const char *name, const char *title, json_t *value, const char *text)
{
        json_t *row = f->test ? json_pack("{ss ss ss}", "field", title, "value", text, "note", note)
                              : json_pack("{ss ss}", "field", title, "value", text);

        if (json_object_set_new(f->object, name, value) < 0)
                f->failed = true;
        if (json_array_append_new(f->rows, row) < 0)
                f->failed = true;
}

static void add_text(struct fields *f, const char *name, const char *title, const char *text)
{
        add(f, name, title, json_string(text), text);
}

static void add_bytes(struct fields *f, const char *name, const char *title, const uint8_t *bytes, size_t n)
{
        char hex[2 * SGX_REPORT_DATA_SIZE + 1];

        hex_encode(bytes, n, hex);
        add_text(f, name, title, hex);
}

static void add_number(struct fields *f, const char *name, const char *title, uint64_t value)
{
        cleanup_free char *text = string_printf("%llu", (unsigned long long)value);

        add(f, name, title, json_integer((json_int_t)value), text ? text : "");
}

static void add_boolean(struct fields *f, const char *name, const char *title, bool value)
{
        add(f, name, title, json_boolean(value), value ? "yes" : "no");
}

static void add_enclave(struct fields *f, const struct sgx_report *r)
{
        cleanup_free char *flags = string_printf("%#llx", (unsigned long long)r->attributes.flags);
        cleanup_free char *xfrm = string_printf("%#llx", (unsigned long long)r->attributes.xfrm);

        add_bytes(f, "mrenclave", "MRENCLAVE", r->mrenclave, sizeof(r->mrenclave));
        add_bytes(f, "mrsigner", "MRSIGNER", r->mrsigner, sizeof(r->mrsigner));
        add_number(f, "isvprodid", "ISVPRODID", r->isv_prod_id);
        add_number(f, "isvsvn", "ISVSVN", r->isv_svn);
        add_boolean(f, "debug", "Debug", r->attributes.flags & SGX_ATTRIBUTE_DEBUG);
        add_text(f, "attributes", "ATTRIBUTES", flags ? flags : "");
        add_text(f, "xfrm", "XFRM", xfrm ? xfrm : "");
        add_bytes(f, "reportdata", "REPORTDATA", r->data, sizeof(r->data));
}

static const char *root_of(const struct verify_options *o, const struct quote_verdict *v)
{
        if (o->root)
                return o->root;
        return v->test ? "the quote's own, which is made by whoever made the quote" : "Intel SGX Root CA";
}

static void add_platform(struct fields *f, const struct verify_options *o, const struct quote_verdict *v)
{
        add_bytes(f, "cpusvn", "CPUSVN", v->quote.report.cpu_svn, SGX_KEY_SIZE);
        add_bytes(f, "fmspc", "FMSPC", v->pck.fmspc, sizeof(v->pck.fmspc));
        add_bytes(f, "pceid", "PCEID", v->pck.pce_id, sizeof(v->pck.pce_id));
        add_number(f, "pcesvn", "PCESVN", v->pck.pce_svn);
        add_number(f, "qesvn", "QE's ISVSVN", v->quote.qe_report.isv_svn);
        add_text(f, "root", "Root", root_of(o, v));
        add_text(f, "validUntil", "Certificate until", v->valid_until);
        add_text(f, "revocation", "Revocation", v->test ? "none" : o->n_crls ? "checked" : "not checked");
        add_text(f, "tcb", "TCB", v->test ? "none, there is no platform" : tcb_status_name(v->tcb.status));
        if (v->tcb.status == TCB_NOT_CHECKED)
                return;
        add_text(f, "tcbDate", "TCB of", v->tcb.date);
        add_text(f, "advisories", "Advisories", v->tcb.advisories);
}

/* Which enclave it had to be. */
static void add_identity(struct fields *f, const struct quote_policy *p)
{
        cleanup_buf struct buf text = buf_with_max(256);

        if (p->mrenclave)
                buf_append_string(&text, ", MRENCLAVE");
        if (p->mrsigner)
                buf_append_string(&text, ", MRSIGNER");
        if (p->isv_prod_id >= 0)
                buf_append_string(&text, ", ISVPRODID");
        if (p->min_isv_svn > 0)
                buf_append_string(&text, ", ISVSVN");
        if (p->report_data.n > 0)
                buf_append_string(&text, ", REPORTDATA");
        add_text(f, "identity", "Identity",
                 text.n ? buf_string(&text) + 2 : "nothing was asked for: any enclave passes");
}

static json_t *result_of(struct fields *f, enum output_format format)
{
        bool rows = format == OUTPUT_TABLE || format == OUTPUT_TSV;

        if (rows)
                return json_incref(f->rows);
        return f->test ? json_pack("{sO}", "testQuote", f->object) : json_incref(f->object);
}

int verify_print(const struct verify_options *o, const struct quote_verdict *v, struct buf *text,
                 struct error *err)
{
        const struct output_style style = {
                .format = o->format, .colour = isatty(STDOUT_FILENO), .terminal = isatty(STDOUT_FILENO)};
        struct fields f = {.object = json_object(), .rows = json_array(), .test = v->test};
        cleanup_json json_t *result = NULL;
        int r;

        add_text(&f, "verdict", "Verdict",
                 v->test ? "accepted as a test quote: evidence of nothing" : "accepted");
        add_enclave(&f, &v->quote.report);
        add_identity(&f, &o->policy);
        add_platform(&f, o, v);
        result = result_of(&f, o->format);
        r = result && !f.failed ? output_write(result, &style, text, err) : error_oom(err);
        json_decref(f.object);
        json_decref(f.rows);
        return r;
}
