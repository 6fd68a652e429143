/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-template.h"

#include <linux/magic.h>
#include <stdbool.h>
#include <sys/vfs.h>

/* The parts without layout, with ' for ".  append_json() puts both in. */
static const char head[] =
        "{'ociVersion':'1.3.0',"
        "'process':{'terminal':true,'user':{'uid':0,'gid':0},'args':['sh'],"
        "'env':['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin','TERM=xterm'],'cwd':'/',"
        "'capabilities':{"
        "'bounding':['CAP_AUDIT_WRITE','CAP_KILL','CAP_NET_BIND_SERVICE'],"
        "'effective':['CAP_AUDIT_WRITE','CAP_KILL','CAP_NET_BIND_SERVICE'],"
        "'permitted':['CAP_AUDIT_WRITE','CAP_KILL','CAP_NET_BIND_SERVICE']},"
        "'rlimits':[{'type':'RLIMIT_NOFILE','hard':1024,'soft':1024}],'noNewPrivileges':true},"
        "'root':{'path':'rootfs','readonly':true},'hostname':'rune',"
        "'mounts':[{'destination':'/proc','type':'proc','source':'proc'},"
        "{'destination':'/dev','type':'tmpfs','source':'tmpfs',"
        "'options':['nosuid','strictatime','mode=755','size=65536k']},"
        "{'destination':'/dev/pts','type':'devpts','source':'devpts',"
        "'options':['nosuid','noexec','newinstance','ptmxmode=0666','mode=0620'";

static const char middle[] =
        "]},{'destination':'/dev/shm','type':'tmpfs','source':'shm',"
        "'options':['nosuid','noexec','nodev','mode=1777','size=65536k']},"
        "{'destination':'/dev/"
        "mqueue','type':'mqueue','source':'mqueue','options':['nosuid','noexec','nodev']},";

static const char sys_mount[] =
        "{'destination':'/sys','type':'sysfs','source':'sysfs','options':['nosuid','noexec','nodev','ro']},";

static const char rootless_sys_mount[] = "{'destination':'/sys','type':'none','source':'/sys',"
                                         "'options':['rbind','nosuid','noexec','nodev','ro']},";

static const char before_linux[] = "{'destination':'/sys/fs/cgroup','type':'cgroup','source':'cgroup',"
                                   "'options':['nosuid','noexec','nodev','relatime','ro']}],'linux':{";

static const char linux_start[] = "'resources':{'devices':[{'allow':false,'access':'rwm'}]},"
                                  "'namespaces':[{'type':'pid'},{'type':'network'},";

static const char rootless_linux_start[] = "'namespaces':[{'type':'pid'},";

static const char namespaces[] = "{'type':'ipc'},{'type':'uts'},{'type':'mount'}";

/* As with runc only where v2 is all there is: on v1 a container that has none sees its own groups, too. */
static const char cgroup_namespace[] = ",{'type':'cgroup'}";

static const char tail[] =
        "],'maskedPaths':['/proc/acpi','/proc/asound','/proc/kcore','/proc/keys','/proc/latency_stats',"
        "'/proc/timer_list','/proc/timer_stats','/proc/sched_debug','/sys/firmware','/proc/scsi'],"
        "'readonlyPaths':['/proc/bus','/proc/fs','/proc/irq','/proc/sys','/proc/sysrq-trigger']}}";

struct layout {
        struct buf *b;
        unsigned depth;
        bool in_string;
};

static void new_line(struct layout *layout)
{
        buf_append_byte(layout->b, '\n');
        for (unsigned i = 0; i < layout->depth; i++)
                buf_append_byte(layout->b, '\t');
}

/* Appends a piece of JSON text, members and items each on a line of its own. */
static void append_json(struct layout *layout, const char *text)
{
        for (; *text; text++) {
                bool opens = *text == '{' || *text == '[', closes = *text == '}' || *text == ']';

                if (*text == '\'') {
                        layout->in_string = !layout->in_string;
                        buf_append_byte(layout->b, '"');
                        continue;
                }
                if (!layout->in_string && closes) {
                        layout->depth--;
                        new_line(layout);
                }
                buf_append_byte(layout->b, (uint8_t)*text);
                if (layout->in_string)
                        continue;
                if (opens)
                        layout->depth++;
                if (opens || *text == ',')
                        new_line(layout);
                else if (*text == ':')
                        buf_append_byte(layout->b, ' ');
        }
}

static void append_namespaces(struct layout *layout)
{
        struct statfs fs;

        append_json(layout, namespaces);
        if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                append_json(layout, cgroup_namespace);
}

int spec_write_template(struct buf *b)
{
        struct layout layout = {.b = b};

        append_json(&layout, head);
        append_json(&layout, ",'gid=5'");
        append_json(&layout, middle);
        append_json(&layout, sys_mount);
        append_json(&layout, before_linux);
        append_json(&layout, linux_start);
        append_namespaces(&layout);
        append_json(&layout, tail);
        return buf_append_byte(b, '\n');
}

static void append_mapping(struct layout *layout, const char *member, unsigned host_id)
{
        char text[128];

        (void)snprintf(text, sizeof(text), "'%s':[{'containerID':0,'hostID':%u,'size':1}],", member, host_id);
        append_json(layout, text);
}

int spec_write_rootless_template(uid_t uid, gid_t gid, struct buf *b)
{
        struct layout layout = {.b = b};

        append_json(&layout, head);
        append_json(&layout, middle);
        append_json(&layout, rootless_sys_mount);
        append_json(&layout, before_linux);
        append_mapping(&layout, "uidMappings", uid);
        append_mapping(&layout, "gidMappings", gid);
        append_json(&layout, rootless_linux_start);
        append_namespaces(&layout);
        append_json(&layout, ",{'type':'user'}");
        append_json(&layout, tail);
        return buf_append_byte(b, '\n');
}
