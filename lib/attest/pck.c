/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/pck.h"

#include <stdbool.h>
#include <string.h>

enum { DER_INTEGER = 0x02, DER_OCTETS = 0x04, DER_OID = 0x06, DER_SEQUENCE = 0x30 };

/* What is found is marked by a bit: those of the extension at their number, those of TCB behind them. */
enum {
        PART_TCB = 2,
        PART_PCE_ID = 3,
        PART_FMSPC = 4,
        PARTS = 8,
        TCB_PCE_SVN = 17,
        TCB_CPU_SVN = 18,
        TCB_PARTS
};

#define NEEDED_PARTS (1U << PART_TCB | 1U << PART_PCE_ID | 1U << PART_FMSPC)
#define NEEDED_TCB   ((1U << TCB_PARTS) - 2)

static const char oid_text[] = "1.2.840.113741.1.13.1";
static const uint8_t arc[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};

/* A value of DER with any tag: lengths below 128, or of one or two bytes in their shortest form. */
static struct view take_value(struct cursor *c, uint8_t *ret_tag)
{
        size_t n, least = 0;

        *ret_tag = cursor_u8(c);
        n = cursor_u8(c);
        if (n == 0x81) {
                n = cursor_u8(c);
                least = 0x80;
        } else if (n == 0x82) {
                n = cursor_be16(c);
                least = 0x100;
        } else if (n >= 0x80) {
                c->failed = true;
        }
        if (n < least)
                c->failed = true;
        return cursor_take(c, n);
}

static struct view take(struct cursor *c, uint8_t tag)
{
        uint8_t found;
        struct view v = take_value(c, &found);

        if (found != tag)
                c->failed = true;
        return c->failed ? view_of(NULL, 0) : v;
}

/* An entry's number below the arc and `above` (0: nothing between); 0 where it is another's. */
static unsigned int number_of(struct view oid, uint8_t above)
{
        size_t n = sizeof(arc) + (above ? 2 : 1);

        if (oid.n != n || memcmp(oid.p, arc, sizeof(arc)) != 0 || (above && oid.p[sizeof(arc)] != above) ||
            oid.p[n - 1] >= 0x80)
                return 0;
        return oid.p[n - 1];
}

/* An INTEGER of 0 to `max`, in its shortest form. */
static unsigned int take_number(struct cursor *c, unsigned int max)
{
        struct view v = take(c, DER_INTEGER);
        unsigned int value = 0;

        if (v.n == 0 || v.n > 3 || (v.p[0] & 0x80) || (v.n > 1 && v.p[0] == 0 && !(v.p[1] & 0x80)))
                c->failed = true;
        for (size_t i = 0; !c->failed && i < v.n; i++)
                value = value << 8 | v.p[i];
        if (value > max)
                c->failed = true;
        return c->failed ? 0 : value;
}

static void take_octets(struct cursor *c, uint8_t *ret_bytes, size_t n)
{
        struct view v = take(c, DER_OCTETS);

        if (v.n == n)
                memcpy(ret_bytes, v.p, n);
        else
                c->failed = true;
}

/* Marks a part as seen. False where it was before. */
static bool mark(uint32_t *seen, unsigned int part)
{
        bool again = *seen & 1U << part;

        *seen |= 1U << part;
        return !again;
}

static void take_tcb_entry(struct cursor *entry, struct pck *pck, uint32_t *seen)
{
        unsigned int part = number_of(take(entry, DER_OID), PART_TCB);

        if (part == 0 || part >= TCB_PARTS || !mark(seen, part))
                entry->failed = true;
        else if (part == TCB_CPU_SVN)
                take_octets(entry, pck->cpu_svn, sizeof(pck->cpu_svn));
        else if (part == TCB_PCE_SVN)
                pck->pce_svn = (uint16_t)take_number(entry, UINT16_MAX);
        else
                pck->tcb[part - 1] = (uint8_t)take_number(entry, UINT8_MAX);
}

static void take_tcb(struct cursor *c, struct pck *pck)
{
        struct cursor parts = cursor_of(take(c, DER_SEQUENCE));
        uint32_t seen = 0;

        while (!c->failed && !cursor_at_end(&parts)) {
                struct cursor entry = cursor_of(take(&parts, DER_SEQUENCE));

                take_tcb_entry(&entry, pck, &seen);
                if (parts.failed || !cursor_at_end(&entry))
                        c->failed = true;
        }
        if (seen != NEEDED_TCB)
                c->failed = true;
}

/* An entry that isn't needed may be of any kind. */
static void take_entry(struct cursor *entry, struct pck *pck, uint32_t *seen)
{
        struct view oid = take(entry, DER_OID);
        unsigned int part = number_of(oid, 0);
        uint8_t tag;

        if (part == 0 || part >= PARTS || !mark(seen, part))
                entry->failed = true;
        else if (part == PART_TCB)
                take_tcb(entry, pck);
        else if (part == PART_PCE_ID)
                take_octets(entry, pck->pce_id, sizeof(pck->pce_id));
        else if (part == PART_FMSPC)
                take_octets(entry, pck->fmspc, sizeof(pck->fmspc));
        else
                (void)take_value(entry, &tag);
}

int pck_parse(struct view extension, struct pck *ret_pck, struct error *err)
{
        struct cursor outer = cursor_of(extension);
        struct cursor c = cursor_of(take(&outer, DER_SEQUENCE));
        struct pck pck = {.pce_svn = 0};
        uint32_t seen = 0;
        bool ok = cursor_at_end(&outer);

        while (ok && !cursor_at_end(&c)) {
                struct cursor entry = cursor_of(take(&c, DER_SEQUENCE));

                take_entry(&entry, &pck, &seen);
                ok = cursor_ok(&c) && cursor_at_end(&entry);
        }
        if (!ok)
                return error_set(err, -EBADMSG, "the PCK certificate's extension %s is malformed", oid_text);
        if ((seen & NEEDED_PARTS) != NEEDED_PARTS)
                return error_set(err, -EBADMSG,
                                 "the PCK certificate's extension %s lacks TCB, PCEID or FMSPC", oid_text);
        *ret_pck = pck;
        return 0;
}

int pck_read(const struct certificate *certificate, struct pck *ret_pck, struct error *err)
{
        struct view extension;
        int r = certificate_extension(certificate, oid_text, &extension, err);

        if (r == -ENOENT)
                return error_set(err, -EBADMSG,
                                 "the certificate is none of a platform: it has no extension %s", oid_text);
        return r < 0 ? r : pck_parse(extension, ret_pck, err);
}
