/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcb-info.c - "tcbInfo" of version 2 and 3: for the platforms of one FMSPC the levels of their TCB, best
 * first.  A platform is at the first level of which it has all parts, or later ones of them.
 */
#include "lib/attest/collateral.h"

#include <stdio.h>
#include <string.h>

enum { VERSION_2 = 2, VERSION_3 = 3 };

/* Of version 2 the components are members with a number in their names, of version 3 an array. */
static int component(const json_t *tcb, uint64_t version, size_t i, uint64_t *ret_svn, struct error *err)
{
        char name[sizeof("sgxtcbcomp16svn")];
        json_t *list;
        int r;

        if (version == VERSION_2) {
                (void)snprintf(name, sizeof(name), "sgxtcbcomp%02usvn", (unsigned int)(i + 1) % 100);
                return collateral_number(tcb, name, UINT8_MAX, ret_svn, err);
        }
        r = strict_json_array(tcb, "sgxtcbcomponents", &list, err);
        if (r == 0 && json_array_size(list) != PCK_TCB_COMPONENTS)
                r = error_set(err, -EBADMSG, "\"sgxtcbcomponents\" has not %d of them", PCK_TCB_COMPONENTS);
        return r == 0 ? collateral_number(json_array_get(list, i), "svn", UINT8_MAX, ret_svn, err) : r;
}

/* Whether the platform has all of a level: 1, 0, or a negative errno. */
static int has_level(const json_t *level, uint64_t version, const struct pck *pck, struct error *err)
{
        json_t *tcb;
        uint64_t svn = 0;
        int r = strict_json_object(level, "tcb", &tcb, err), has;

        if (r == 0)
                r = collateral_number(tcb, "pcesvn", UINT16_MAX, &svn, err);
        has = r == 0 && pck->pce_svn >= svn;
        for (size_t i = 0; r == 0 && i < PCK_TCB_COMPONENTS; i++) {
                r = component(tcb, version, i, &svn, err);
                has &= r == 0 && pck->tcb[i] >= svn;
        }
        return r < 0 ? r : has;
}

static int check_family(const json_t *info, const struct pck *pck, uint64_t *ret_version, struct error *err)
{
        uint8_t fmspc[PCK_FMSPC_SIZE], pce_id[PCK_PCE_ID_SIZE];
        const char *id = NULL;
        int r = collateral_number(info, "version", UINT32_MAX, ret_version, err);

        if (r == 0 && *ret_version != VERSION_2 && *ret_version != VERSION_3)
                r = error_set(err, -ENOTSUP, "it is of version %llu; known are 2 and 3",
                              (unsigned long long)*ret_version);
        if (r == 0)
                r = strict_json_string(info, "id", &id, err);
        if (r == 0 && id && strcmp(id, "SGX") != 0)
                r = error_set(err, -EPERM, "it is about %.40s, and not SGX", id);
        if (r == 0)
                r = collateral_bytes(info, "fmspc", fmspc, sizeof(fmspc), err);
        if (r == 0)
                r = collateral_bytes(info, "pceId", pce_id, sizeof(pce_id), err);
        if (r == 0 && (memcmp(fmspc, pck->fmspc, sizeof(fmspc)) != 0 ||
                       memcmp(pce_id, pck->pce_id, sizeof(pce_id)) != 0))
                r = error_set(err, -EPERM, "it is about platforms of another FMSPC or PCEID");
        return r;
}

static int find_level(const json_t *info, const struct pck *pck, struct tcb_verdict *ret_verdict,
                      struct error *err)
{
        json_t *levels;
        uint64_t version = 0;
        int r = check_family(info, pck, &version, err);

        if (r == 0)
                r = strict_json_array(info, "tcbLevels", &levels, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_array_size(levels); i++) {
                r = has_level(json_array_get(levels, i), version, pck, err);
                if (r != 0)
                        return r < 0 ? r : collateral_level(json_array_get(levels, i), ret_verdict, err);
        }
        return error_set(err, -EPERM, "the platform is below all levels of it");
}

int tcb_info_level(const json_t *tcb_info, const struct pck *pck, struct tcb_verdict *ret_verdict,
                   struct error *err)
{
        int r = find_level(tcb_info, pck, ret_verdict, err);

        if (r < 0)
                error_wrap(err, "\"tcbInfo\"");
        return r;
}
