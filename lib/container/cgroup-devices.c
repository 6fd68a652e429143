/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules (device-rules.h) in a control group.
 *
 * v2 makes a program of the rules (device-filter.h).  v1 has a list for each group: at first its parent's,
 * which allows everything; after "a" was written to devices.deny, it denies what no entry allows.  An entry
 * goes only by its exact numbers, so a rule that denies one device out of many allowed by a wildcard can't
 * be had, and is refused rather than be without effect.  When a running container gets new rules, only the
 * difference is written: there is no moment in which it has no devices.
 *
 * Source: kernel Documentation/admin-guide/cgroup-v1/devices.rst.
 */
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"
#include "lib/container/device-filter.h"
#include "lib/container/device-rules.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define ANY (-1)
#define ALL (SPEC_ACCESS_READ | SPEC_ACCESS_WRITE | SPEC_ACCESS_MKNOD)

/* An entry of v1's list. */
struct entry {
        char type;            /* 'b' or 'c' */
        int64_t major, minor; /* ANY: "*" */
        unsigned access;      /* 0: an entry that has gone */
};

/* A group's list: what it allows, or, with allow_all, what it denies. */
struct device_list {
        bool allow_all;
        struct entry *items;
        size_t n, room;
};

static void device_list_done(struct device_list *list)
{
        free(list->items);
}
#define cleanup_device_list CLEANUP(device_list_done)

/* ---- v1's list ----------------------------------------------------------------------------------------- */

static struct entry *find(const struct device_list *list, const struct entry *like)
{
        for (size_t i = 0; i < list->n; i++)
                if (list->items[i].type == like->type && list->items[i].major == like->major &&
                    list->items[i].minor == like->minor)
                        return &list->items[i];
        return NULL;
}

/* Does an entry speak of devices of which the other does, too? */
static bool overlap(const struct entry *a, const struct entry *b)
{
        return a->type == b->type && (a->major == ANY || b->major == ANY || a->major == b->major) &&
               (a->minor == ANY || b->minor == ANY || a->minor == b->minor);
}

static int list_add(struct device_list *list, const struct entry *entry, struct error *err)
{
        struct entry *old = find(list, entry);

        if (old) {
                old->access |= entry->access;
                return 0;
        }
        if (list->n == list->room) {
                size_t room = list->room ? list->room * 2 : 32;
                struct entry *items = reallocarray(list->items, room, sizeof(*items));
                if (!items)
                        return error_oom(err);
                list->items = items;
                list->room = room;
        }
        list->items[list->n++] = *entry;
        return 0;
}

/* Takes an access out of the list, where the list can say so. */
static int list_take(struct device_list *list, const struct entry *entry, struct error *err)
{
        struct entry *old = find(list, entry);

        for (size_t i = 0; i < list->n; i++) {
                const struct entry *other = &list->items[i];
                bool wider = (other->major == ANY && entry->major != ANY) ||
                             (other->minor == ANY && entry->minor != ANY);
                if (other == old || !overlap(other, entry) || !(other->access & entry->access))
                        continue;
                if (wider)
                        return error_set(err, -EINVAL,
                                         "resources.devices: rule for %c %lld:%lld not supported by devices "
                                         "cgroupv1 (cannot punch hole in existing wildcard rule)",
                                         entry->type, (long long)entry->major, (long long)entry->minor);
                list->items[i].access &= ~entry->access;
        }
        if (old)
                old->access &= ~entry->access;
        return 0;
}

/* The rule's effect on the list; a rule of type "a", or about all devices of both kinds, starts it anew. */
static int list_apply(struct device_list *list, const struct spec_device_rule *rule, struct error *err)
{
        static const char both[] = {'b', 'c'};
        int r = 0;

        if (rule->type == 'a' && !rule->major.set && !rule->minor.set && (rule->access & ALL) == ALL) {
                list->allow_all = rule->allow;
                list->n = 0;
                return 0;
        }
        for (size_t i = 0; r >= 0 && i < sizeof(both); i++) {
                struct entry entry = {
                        .type = both[i],
                        .major = rule->major.set ? (int64_t)rule->major.value : ANY,
                        .minor = rule->minor.set ? (int64_t)rule->minor.value : ANY,
                        .access = rule->access & ALL,
                };
                if (rule->type != 'a' && rule->type != both[i])
                        continue;
                r = rule->allow == list->allow_all ? list_take(list, &entry, err)
                                                   : list_add(list, &entry, err);
        }
        return r;
}

/* "c 1:*" */
static void entry_text(const struct entry *entry, unsigned access, char ret_text[64])
{
        char major[24] = "*", minor[24] = "*";

        if (entry->major != ANY)
                snprintf(major, sizeof(major), "%lld", (long long)entry->major);
        if (entry->minor != ANY)
                snprintf(minor, sizeof(minor), "%lld", (long long)entry->minor);
        snprintf(ret_text, 64, "%c %s:%s %s%s%s", entry->type, major, minor,
                 access & SPEC_ACCESS_READ ? "r" : "", access & SPEC_ACCESS_WRITE ? "w" : "",
                 access & SPEC_ACCESS_MKNOD ? "m" : "");
}

/* Parses "*" or a number. */
static bool parse_part(const char *text, int64_t *ret_number)
{
        uint64_t number;

        if (strcmp(text, "*") == 0) {
                *ret_number = ANY;
                return true;
        }
        if (!parse_u64(text, UINT32_MAX, &number))
                return false;
        *ret_number = (int64_t)number;
        return true;
}

/* What devices.list says: "a *:* rwm" where everything is allowed, else the entries. */
static int read_list(const struct cgroup_hierarchy *h, struct device_list *ret_list, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(0);
        int r = cgroup_file_read_all(h, "devices.list", &text);
        const char *line = buf_string(&text);

        if (r < 0)
                return cgroup_file_error(h, "devices.list", NULL, r, err);
        while (*line) {
                char type, major[16], minor[16], access[8];
                struct entry entry;

                if (sscanf(line, "%c %15[^:]:%15s %7s", &type, major, minor, access) != 4 ||
                    !parse_part(major, &entry.major) || !parse_part(minor, &entry.minor))
                        return error_set(err, -EBADMSG, "cgroup: devices.list has a line that is none");
                entry.type = type;
                entry.access = (strchr(access, 'r') ? SPEC_ACCESS_READ : 0u) |
                               (strchr(access, 'w') ? SPEC_ACCESS_WRITE : 0u) |
                               (strchr(access, 'm') ? SPEC_ACCESS_MKNOD : 0u);
                if (type == 'a')
                        ret_list->allow_all = true;
                else
                        r = list_add(ret_list, &entry, err);
                if (r < 0)
                        return r;
                line += strcspn(line, "\n");
                line += *line == '\n';
        }
        return 0;
}

static int write_rule(const struct cgroup_hierarchy *h, int fd, const char *file, const char *text,
                      struct error *err)
{
        int r = fd_write_full(fd, text, strlen(text));

        return r < 0 ? cgroup_file_error(h, file, text, r, err) : 0;
}

/* Writes what `list` has and `without` hasn't. */
static int write_entries(const struct cgroup_hierarchy *h, const char *file, const struct device_list *list,
                         const struct device_list *without, struct error *err)
{
        cleanup_fd int fd = -1;
        char text[64];

        for (size_t i = 0; i < list->n; i++) {
                const struct entry *entry = &list->items[i];
                const struct entry *there = find(without, entry);
                unsigned access = entry->access & ~(there ? there->access : 0u);

                if (!access)
                        continue;
                if (fd < 0)
                        fd = cgroup_file_open(h, file, O_WRONLY);
                if (fd < 0)
                        return cgroup_file_error(h, file, "", fd, err);
                entry_text(entry, access, text);
                int r = write_rule(h, fd, file, text, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_v1(const struct cgroup *cgroup, const struct cgroup_hierarchy *h,
                    const struct device_list *wanted, struct error *err)
{
        const char *to_allow = wanted->allow_all ? "devices.deny" : "devices.allow";
        const char *to_deny = wanted->allow_all ? "devices.allow" : "devices.deny";
        cleanup_device_list struct device_list now = {.allow_all = true};
        int r = 0;

        /* A new group has what its parent has, and can't have more. */
        if (cgroup->fresh && wanted->allow_all && wanted->n == 0)
                return 0;
        if (!cgroup->fresh) {
                now.allow_all = false;
                r = read_list(h, &now, err);
        }
        /* A list of exceptions from "all" isn't shown by the kernel, so that it has to be written anew. */
        if (r >= 0 && (now.allow_all || wanted->allow_all)) {
                now.n = 0;
                r = cgroup_file_set(h, to_deny, "a", err);
        }
        if (r >= 0)
                r = write_entries(h, to_allow, wanted, &now, err);
        if (r >= 0)
                r = write_entries(h, to_deny, &now, wanted, err);
        return r;
}

int cgroup_apply_devices(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        cleanup_free struct spec_device_rule *rules = NULL;
        cleanup_device_list struct device_list wanted = {.allow_all = false};
        struct cgroup_hierarchy *h;
        size_t n;
        int r;

        if ((resources->n_devices == 0 && !cgroup->fresh) || (cgroup->rootless && cgroup->n == 0))
                return 0;
        r = device_rules_complete(resources, &rules, &n, err);
        if (r < 0)
                return r;
        h = cgroup_with(cgroup, CGROUP_DEVICES);
        if (h) {
                for (size_t i = 0; r >= 0 && i < n; i++)
                        r = list_apply(&wanted, &rules[i], err);
                if (r >= 0)
                        r = apply_v1(cgroup, h, &wanted, err);
        } else if (cgroup_clone_fd(cgroup) >= 0) {
                r = device_filter_apply(cgroup_clone_fd(cgroup), rules, n, err);
        } else {
                r = error_set(err, -ENOTSUP,
                              "resources.devices: the host has no cgroup controller \"devices\"");
        }
        /* A user's own rules are all that keeps a user's container from devices. */
        return r < 0 && cgroup->rootless ? 0 : r;
}
