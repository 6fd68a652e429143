/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/container-rdt.h"

#include "lib/container/intel-rdt.h"

static const char KEY[] = "intel_rdt";

/* *ret_rdt is empty where the container has none. */
static int recall(const struct container_state *state, struct intel_rdt *ret_rdt, struct error *err)
{
        const json_t *kept = state->extra ? json_object_get(state->extra, KEY) : NULL;

        return kept ? intel_rdt_from_json(kept, ret_rdt, err) : 0;
}

static int remember(struct container_state *state, const struct intel_rdt *rdt, struct error *err)
{
        if (!state->extra)
                state->extra = json_object();
        if (!state->extra || json_object_set_new(state->extra, KEY, intel_rdt_to_json(rdt)) < 0)
                return error_oom(err);
        return 0;
}

int container_rdt_begin(struct starting *s, struct error *err)
{
        cleanup_intel_rdt struct intel_rdt rdt = {0};
        cleanup_free char *root = NULL;

        if (!s->spec->linux.intel_rdt)
                return 0;
        int r = intel_rdt_root(&root, err);
        if (r == 0)
                r = intel_rdt_apply(root, s->state.id, s->spec->linux.intel_rdt, s->pid, &rdt, err);
        if (r < 0)
                return r;
        r = remember(&s->state, &rdt, err);
        if (r < 0)
                (void)intel_rdt_destroy(&rdt, NULL);
        return r;
}

int container_rdt_join(struct starting *s, struct error *err)
{
        cleanup_intel_rdt struct intel_rdt rdt = {0};
        int r = recall(&s->state, &rdt, err);

        return r == 0 && rdt.path ? intel_rdt_enter(&rdt, s->pid, err) : r;
}

int container_rdt_update(const struct container_state *state, const struct spec_intel_rdt *spec,
                         struct error *err)
{
        cleanup_intel_rdt struct intel_rdt rdt = {0};
        cleanup_free char *root = NULL;
        int r = recall(state, &rdt, err);

        if (r == 0 && rdt.path)
                r = intel_rdt_root(&root, err);
        return r == 0 ? intel_rdt_update(root, &rdt, spec, err) : r;
}

int container_rdt_stats(const struct container_state *state, json_t **ret_figures, struct error *err)
{
        cleanup_intel_rdt struct intel_rdt rdt = {0};
        cleanup_free char *root = NULL;
        int r = recall(state, &rdt, err);

        if (r == 0 && !rdt.path) {
                *ret_figures = json_object();
                return *ret_figures ? 0 : error_oom(err);
        }
        if (r == 0)
                r = intel_rdt_root(&root, err);
        return r == 0 ? intel_rdt_stats(root, &rdt, ret_figures, err) : r;
}

int container_rdt_end(const struct container_state *state, struct error *err)
{
        cleanup_intel_rdt struct intel_rdt rdt = {0};
        int r = recall(state, &rdt, err);

        return r == 0 ? intel_rdt_destroy(&rdt, err) : r;
}
