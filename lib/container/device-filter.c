/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device-filter.c - rules to instructions, and instructions to a group.
 *
 * Theory of operation.  The program goes through the rules from the last to the first, with what is asked for
 * and not yet decided as a set of bits: a rule that fits the device and allows takes its bits out of the set,
 * and none left means yes; one that fits and denies means no where it has one of the bits left.  Behind the
 * first rule is no.  A rule of which later ones leave nothing is left out, so that the rules which engines
 * repeat cost nothing; nothing is made of what stands before a rule that fits everything.
 *
 * All programs of a group must agree, so a new one takes the place of the old: in one step where there is one
 * (Linux 5.6), else by adding before removing.  There is no moment without a filter.
 */
#include "lib/container/device-filter.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel takes a million; nobody has rules for so many. */
enum { INSTRUCTIONS_MAX = 65536 };

/* The instructions of one rule, the beginning and the end. */
enum { RULE_MAX = 8, FRAME = 8 };

/* Later rules that are looked at to find that one is needless. */
enum { COVER_MAX = 128 };

/* Programs of one group: the kernel's own limit (BPF_CGROUP_MAX_PROGS). */
enum { PROGRAMS_MAX = 64 };

enum { VERIFIER_LOG_SIZE = 16384, VERIFIER_TEXT_MAX = 400 };

enum { ALL_ACCESS = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE };

/* r1 is the context; the device's type, the access that is left, major and minor. */
enum { R_RESULT = BPF_REG_0, R_CONTEXT = BPF_REG_1, R_TYPE, R_LEFT, R_MAJOR, R_MINOR };

struct program {
        struct bpf_insn *items;
        size_t n;
};

static struct bpf_insn *emit(struct program *program, uint8_t code, uint8_t dst, int16_t off, int32_t imm)
{
        struct bpf_insn *instruction = &program->items[program->n++];

        *instruction = (struct bpf_insn){.code = code, .dst_reg = dst & 15, .off = off, .imm = imm};
        return instruction;
}

static void emit_load(struct program *program, uint8_t dst, size_t offset)
{
        emit(program, BPF_LDX | BPF_MEM | BPF_W, dst, (int16_t)offset, 0)->src_reg = R_CONTEXT;
}

static void emit_answer(struct program *program, bool allow)
{
        emit(program, BPF_ALU64 | BPF_MOV | BPF_K, R_RESULT, 0, allow);
        emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

static unsigned kernel_access(unsigned access)
{
        return (access & SPEC_ACCESS_READ ? (unsigned)BPF_DEVCG_ACC_READ : 0) |
               (access & SPEC_ACCESS_WRITE ? (unsigned)BPF_DEVCG_ACC_WRITE : 0) |
               (access & SPEC_ACCESS_MKNOD ? (unsigned)BPF_DEVCG_ACC_MKNOD : 0);
}

/* No device has such a number, nor has a comparison room for it. */
static bool fits_none(const struct optional_u64 *number)
{
        return number->set && number->value > INT32_MAX;
}

static bool fits_all(const struct spec_device_rule *rule)
{
        return rule->type == 'a' && !rule->major.set && !rule->minor.set;
}

static bool number_covered(const struct optional_u64 *number, const struct optional_u64 *by)
{
        return !by->set || (number->set && number->value == by->value);
}

static bool covered(const struct spec_device_rule *rule, const struct spec_device_rule *by)
{
        return (by->type == 'a' || by->type == rule->type) && (rule->access & ~by->access) == 0 &&
               number_covered(&rule->major, &by->major) && number_covered(&rule->minor, &by->minor);
}

/* True where the rule at i can't change what those behind it say. */
static bool is_needless(const struct spec_device_rule *rules, size_t n, size_t i)
{
        const struct spec_device_rule *rule = &rules[i];

        if (!kernel_access(rule->access) || fits_none(&rule->major) || fits_none(&rule->minor))
                return true;
        for (size_t k = i + 1; k < n && k <= i + COVER_MAX; k++)
                if (covered(rule, &rules[k]))
                        return true;
        return false;
}

static void emit_rule(struct program *program, const struct spec_device_rule *rule)
{
        int access = (int)kernel_access(rule->access);
        size_t first = program->n;

        if (rule->type != 'a')
                emit(program, BPF_JMP | BPF_JNE | BPF_K, R_TYPE, 0,
                     rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
        if (rule->major.set)
                emit(program, BPF_JMP | BPF_JNE | BPF_K, R_MAJOR, 0, (int32_t)rule->major.value);
        if (rule->minor.set)
                emit(program, BPF_JMP | BPF_JNE | BPF_K, R_MINOR, 0, (int32_t)rule->minor.value);
        if (access != ALL_ACCESS && rule->allow) {
                emit(program, BPF_ALU64 | BPF_AND | BPF_K, R_LEFT, 0, ALL_ACCESS & ~access);
                emit(program, BPF_JMP | BPF_JNE | BPF_K, R_LEFT, 0, 0);
        } else if (access != ALL_ACCESS) {
                emit(program, BPF_JMP | BPF_JSET | BPF_K, R_LEFT, 1, access);
                emit(program, BPF_JMP | BPF_JA, 0, 0, 0);
        }
        emit_answer(program, rule->allow);
        /* Whatever has no aim yet leads behind the rule. */
        for (size_t i = first; i < program->n; i++) {
                struct bpf_insn *instruction = &program->items[i];
                if (BPF_CLASS(instruction->code) == BPF_JMP && BPF_OP(instruction->code) != BPF_EXIT &&
                    instruction->off == 0)
                        instruction->off = (int16_t)(program->n - i - 1);
        }
}

int device_filter_make(const struct spec_device_rule *rules, size_t n, struct bpf_insn **ret_instructions,
                       size_t *ret_n, struct error *err)
{
        struct program program = {0};
        size_t i = n;

        if (n > (INSTRUCTIONS_MAX - FRAME) / RULE_MAX)
                return error_set(err, -E2BIG, "%zu device rules; at most %d are possible", n,
                                 (INSTRUCTIONS_MAX - FRAME) / RULE_MAX);
        program.items = calloc(n * RULE_MAX + FRAME, sizeof(*program.items));
        if (!program.items)
                return error_oom(err);
        emit_load(&program, R_TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
        emit(&program, BPF_ALU64 | BPF_MOV | BPF_X, R_LEFT, 0, 0)->src_reg = R_TYPE;
        emit(&program, BPF_ALU64 | BPF_AND | BPF_K, R_TYPE, 0, 0xffff);
        emit(&program, BPF_ALU64 | BPF_RSH | BPF_K, R_LEFT, 0, 16);
        emit_load(&program, R_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
        emit_load(&program, R_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
        bool final = false;
        while (i-- > 0 && !final) {
                if (is_needless(rules, n, i))
                        continue;
                emit_rule(&program, &rules[i]);
                final = fits_all(&rules[i]) && kernel_access(rules[i].access) == ALL_ACCESS;
        }
        /* The kernel takes no instruction that can't be reached. */
        if (!final)
                emit_answer(&program, false);
        *ret_instructions = program.items;
        *ret_n = program.n;
        return 0;
}

/* ---- bpf(2) -------------------------------------------------------------------------------------------- */

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
        long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

        return r < 0 ? -errno : (int)r;
}

static uint64_t address(const void *p)
{
        return (uint64_t)(uintptr_t)p;
}

static int load_with_log(const struct bpf_insn *instructions, size_t n, char *log)
{
        union bpf_attr attr = {
                .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                .insns = address(instructions),
                .insn_cnt = (uint32_t)n,
                .license = address("Apache-2.0"),
                .log_level = log ? 1 : 0,
                .log_size = log ? VERIFIER_LOG_SIZE : 0,
                .log_buf = address(log),
                .prog_name = "rune_devices",
        };

        return bpf(BPF_PROG_LOAD, &attr);
}

/* Before Linux 5.11 programs count as locked memory, whose limit is 64 KiB as a rule. */
static int load_without_limit(const struct bpf_insn *instructions, size_t n)
{
        const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
        struct rlimit saved;

        if (prlimit(0, RLIMIT_MEMLOCK, &none, &saved) < 0)
                return -EPERM;
        int r = load_with_log(instructions, n, NULL);
        prlimit(0, RLIMIT_MEMLOCK, &saved, NULL);
        return r;
}

/* The verifier's reasons are in the last lines of its log. */
static int load_failed(const struct bpf_insn *instructions, size_t n, int code, struct error *err)
{
        cleanup_free char *log = calloc(1, VERIFIER_LOG_SIZE);
        const char *end = "";

        if (code == -EPERM) {
                error_errno(err, EPERM, "load the device filter");
                error_hint(err, "device rules of cgroup v2 need CAP_BPF or CAP_SYS_ADMIN");
                return code;
        }
        if (log && load_with_log(instructions, n, log) < 0) {
                log[VERIFIER_LOG_SIZE - 1] = 0;
                size_t length = strlen(log);
                end = length > VERIFIER_TEXT_MAX ? log + length - VERIFIER_TEXT_MAX : log;
                for (char *c = log; *c; c++)
                        *c = *c == '\n' ? ' ' : *c;
        }
        return error_errno(err, -code, "load the device filter (verifier: %s)", end);
}

static int load(const struct bpf_insn *instructions, size_t n, int *ret_fd, struct error *err)
{
        int r = load_with_log(instructions, n, NULL);

        if (r == -EPERM)
                r = load_without_limit(instructions, n);
        if (r < 0)
                return load_failed(instructions, n, r, err);
        *ret_fd = r;
        return 0;
}

static int query(int cgroup_fd, uint32_t ids[PROGRAMS_MAX], size_t *ret_n, struct error *err)
{
        union bpf_attr attr = {.query = {.target_fd = (uint32_t)cgroup_fd,
                                         .attach_type = BPF_CGROUP_DEVICE,
                                         .prog_ids = address(ids),
                                         .prog_cnt = PROGRAMS_MAX}};
        int r = bpf(BPF_PROG_QUERY, &attr);

        if (r < 0)
                return error_errno(err, -r, "ask for the group's device filters");
        *ret_n = attr.query.prog_cnt;
        return 0;
}

static int attach(int cgroup_fd, int program, int replaced)
{
        union bpf_attr attr = {.target_fd = (uint32_t)cgroup_fd,
                               .attach_bpf_fd = (uint32_t)program,
                               .attach_type = BPF_CGROUP_DEVICE,
                               .attach_flags = BPF_F_ALLOW_MULTI};

        if (replaced >= 0) {
                attr.attach_flags |= BPF_F_REPLACE;
                attr.replace_bpf_fd = (uint32_t)replaced;
        }
        return bpf(BPF_PROG_ATTACH, &attr);
}

static int detach(int cgroup_fd, int program)
{
        union bpf_attr attr = {.target_fd = (uint32_t)cgroup_fd,
                               .attach_bpf_fd = (uint32_t)program,
                               .attach_type = BPF_CGROUP_DEVICE};

        return bpf(BPF_PROG_DETACH, &attr);
}

static int open_program(uint32_t id)
{
        union bpf_attr attr = {.prog_id = id};

        return bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

static int attach_beside(int cgroup_fd, int program, const uint32_t *old, size_t n, struct error *err)
{
        int r = attach(cgroup_fd, program, -1);

        if (r < 0)
                return error_errno(err, -r, "attach the device filter");
        for (size_t i = 0; i < n; i++) {
                cleanup_fd int fd = open_program(old[i]);
                r = fd < 0 ? fd : detach(cgroup_fd, fd);
                /* Gone by itself is as good. */
                if (r < 0 && r != -ENOENT)
                        return error_errno(err, -r, "detach the device filter before it");
        }
        return 0;
}

static int put_in_place(int cgroup_fd, int program, struct error *err)
{
        uint32_t old[PROGRAMS_MAX] = {0};
        size_t n;

        int r = query(cgroup_fd, old, &n, err);
        if (r < 0)
                return r;
        if (n == 1) {
                cleanup_fd int fd = open_program(old[0]);
                if (fd >= 0 && attach(cgroup_fd, program, fd) >= 0)
                        return 0;
        }
        return attach_beside(cgroup_fd, program, old, n, err);
}

int device_filter_apply(int cgroup_fd, const struct spec_device_rule *rules, size_t n, struct error *err)
{
        cleanup_free struct bpf_insn *instructions = NULL;
        cleanup_fd int program = -1;
        size_t n_instructions;

        int r = device_filter_make(rules, n, &instructions, &n_instructions, err);
        if (r == 0)
                r = load(instructions, n_instructions, &program, err);
        if (r < 0)
                return r;
        /* Not every kernel takes an O_PATH here. */
        cleanup_fd int folder = openat(cgroup_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                return error_errno(err, errno, "open the group's folder");
        return put_in_place(folder, program, err);
}
