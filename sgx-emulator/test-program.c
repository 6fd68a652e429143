/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for Linux' SGX driver that knows nothing of us: <asm/sgx.h>, the vDSO, and an enclave file with
 * its signature, whose layout it knows.
 *
 *      test-program ENCL.BIN ENCL.SS
 */
#include <asm/sgx.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

enum { SIGSTRUCT = 1808, TCS = 0x100, RWX = 0x207, EENTER = 2, ERESUME = 3, EEXIT = 4, CALLS = 1000 };

static const uint64_t magic = 0xdeadfacedeadbeef;

static _Noreturn void die(const char *what)
{
        perror(what);
        exit(1);
}

static uint8_t *map_whole(const char *path, size_t *ret_size)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint8_t *p;

        if (fd < 0 || fstat(fd, &st) < 0)
                die(path);
        p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
                die(path);
        close(fd);
        *ret_size = (size_t)st.st_size;
        return p;
}

/* The vDSO's function, by its dynamic section, as the kernel's own test looks for it. */
static vdso_sgx_enter_enclave_t find_enter(void)
{
        const uint8_t *base = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
        const Elf64_Ehdr *header = (const void *)base;
        const Elf64_Phdr *program = (const void *)(base + header->e_phoff);
        const Elf64_Sym *symbols = NULL;
        const char *strings = NULL;
        const uint32_t *hash = NULL;

        for (size_t i = 0; i < header->e_phnum; i++) {
                const Elf64_Dyn *d = (const void *)(base + program[i].p_offset);

                for (; program[i].p_type == PT_DYNAMIC && d->d_tag != DT_NULL; d++) {
                        const void *p = base + d->d_un.d_ptr;

                        if (d->d_tag == DT_SYMTAB)
                                symbols = p;
                        else if (d->d_tag == DT_STRTAB)
                                strings = p;
                        else if (d->d_tag == DT_HASH)
                                hash = p;
                }
        }
        for (uint32_t i = 0; hash && i < hash[1]; i++)
                if (strcmp(strings + symbols[i].st_name, "__vdso_sgx_enter_enclave") == 0)
                        return (vdso_sgx_enter_enclave_t)(uintptr_t)(base + symbols[i].st_value);
        return NULL;
}

static void add(int fd, uint64_t offset, const uint8_t *source, size_t size, uint64_t flags)
{
        uint64_t secinfo[8] __attribute__((aligned(64))) = {flags};
        struct sgx_enclave_add_pages add_pages = {
                .src = (uint64_t)(uintptr_t)source,
                .offset = offset,
                .length = size,
                .secinfo = (uint64_t)(uintptr_t)secinfo,
                .flags = SGX_PAGE_MEASURE,
        };

        if (ioctl(fd, SGX_IOC_ENCLAVE_ADD_PAGES, &add_pages) < 0 || add_pages.count != size)
                die("SGX_IOC_ENCLAVE_ADD_PAGES");
}

static uint8_t *reserve(size_t size)
{
        uint8_t *p = mmap(NULL, 2 * size, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                die("mmap");
        return p + (size - (uintptr_t)p % size) % size;
}

/* The enclave, ready to be entered. */
static uint8_t *build(const char *image, const char *signature)
{
        static uint8_t secs[PAGE] __attribute__((aligned(PAGE))), frame[PAGE] __attribute__((aligned(PAGE)));
        size_t n, ss_size, size = 2 * PAGE;
        uint8_t *file = map_whole(image, &n), *ss = map_whole(signature, &ss_size), *base;
        int fd = open("/dev/sgx_enclave", O_RDWR);
        struct sgx_enclave_create create = {.src = (uint64_t)(uintptr_t)secs};
        struct sgx_enclave_init init = {.sigstruct = (uint64_t)(uintptr_t)ss};

        if (fd < 0)
                die("/dev/sgx_enclave");
        while (size < n + PAGE)
                size *= 2;
        base = reserve(size);
        memcpy(file + 16, &n, 8); /* OSSA */
        memcpy(secs, &size, 8);
        memcpy(secs + 8, &base, 8);
        secs[16] = 1;
        secs[48] = 6;
        secs[56] = 3;
        if (ss_size != SIGSTRUCT || ioctl(fd, SGX_IOC_ENCLAVE_CREATE, &create) < 0)
                die("SGX_IOC_ENCLAVE_CREATE");
        add(fd, 0, file, PAGE, TCS);
        add(fd, PAGE, file + PAGE, n - PAGE, RWX);
        add(fd, n, frame, PAGE, RWX);
        if (ioctl(fd, SGX_IOC_ENCLAVE_INIT, &init) < 0)
                die("SGX_IOC_ENCLAVE_INIT");
        if (mmap(base, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
            mmap(base + PAGE, n, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0) ==
                    MAP_FAILED)
                die("mmap of the enclave");
        close(fd);
        return base;
}

static int handled;

static int on_exit_of_enclave(long rdi, long rsi, long rdx, long rsp, long r8, long r9,
                              struct sgx_enclave_run *run)
{
        (void)rdi, (void)rsi, (void)rdx, (void)rsp, (void)r8, (void)r9;
        handled = (int)run->function;
        return 0;
}

/* R10 has the call's number; the function passes on all but its own registers. */
static int enter(vdso_sgx_enter_enclave_t function, uint64_t number, void *a, struct sgx_enclave_run *run)
{
        register uint64_t r10 __asm__("r10") = number;
        register uint64_t r8 __asm__("r8") = 0;
        register uint64_t r9 __asm__("r9") = 0;
        long di = (long)a, si = 0, dx = 0, cx = EENTER, r;

        __asm__ volatile("push %[run]\n\tcall *%[function]\n\tadd $8, %%rsp"
                         : "=a"(r), "+D"(di), "+S"(si), "+d"(dx), "+c"(cx), "+r"(r8), "+r"(r9), "+r"(r10)
                         : [run] "b"(run), [function] "r"(function)
                         : "r11", "r12", "r13", "r14", "r15", "memory", "cc");
        return (int)r;
}

/* The program's own handler: what it saw, and on behind the instruction. */
static volatile struct {
        int n, signal, code, skip;
        uint64_t rip;
} caught;

static void on_signal(int signal, siginfo_t *info, void *context)
{
        greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

        caught.n++;
        caught.signal = signal;
        caught.code = info->si_code;
        caught.rip = (uint64_t)*rip;
        *rip += caught.skip;
}

static void handle_signals(void)
{
        struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

        if (sigaction(SIGSEGV, &action, NULL) < 0 || sigaction(SIGILL, &action, NULL) < 0)
                die("sigaction");
}

/* As a debugger would see it: all traps, before whoever has the signal. */
struct kernel_action {
        void (*handler)(int, siginfo_t *, void *);
        unsigned long flags;
        void *restorer;
        uint64_t mask;
};

static const int trapping[] = {SIGSEGV, SIGILL};
static struct kernel_action next[sizeof(trapping) / sizeof(trapping[0])];
static volatile int traps, traps_of_enclu;

__attribute__((no_stack_protector)) static void on_trap(int signal, siginfo_t *info, void *context)
{
        const uint8_t *rip = (const uint8_t *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

        traps++;
        if (rip[0] == 0x0f)
                traps_of_enclu++;
        next[signal == SIGILL].handler(signal, info, context);
}

static void count_traps(void)
{
        for (size_t i = 0; i < sizeof(trapping) / sizeof(trapping[0]); i++) {
                struct kernel_action action;

                if (syscall(SYS_rt_sigaction, trapping[i], NULL, &next[i], sizeof(next[i].mask)) < 0)
                        die("rt_sigaction");
                action = next[i];
                action.handler = on_trap;
                if (syscall(SYS_rt_sigaction, trapping[i], &action, NULL, sizeof(action.mask)) < 0)
                        die("rt_sigaction");
        }
}

#define CHECK(condition)                                                                                     \
        do                                                                                                   \
                if (!(condition)) {                                                                          \
                        fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                              \
                        return 1;                                                                            \
                }                                                                                            \
        while (0)

/* The program's handlers get what is the program's, and nothing of enclaves. */
static int check_handlers(void)
{
        CHECK(caught.n == 0);
        caught.skip = 1;
        __asm__ volatile("hlt" : : : "memory");
        CHECK(caught.n == 1 && caught.signal == SIGSEGV && caught.code == SI_KERNEL);
        caught.skip = 2;
        __asm__ volatile("ud2" : : : "memory");
        CHECK(caught.n == 2 && caught.signal == SIGILL && caught.code == ILL_ILLOPN);
        return 0;
}

static int check_traps(vdso_sgx_enter_enclave_t function, struct sgx_enclave_run *run)
{
        uint64_t out = 0;

        count_traps();
        for (int i = 0; i < CALLS; i++)
                CHECK(enter(function, 0, &out, run) == 0);
        CHECK(traps == CALLS && traps_of_enclu == 0);
        return 0;
}

int main(int argc, char **argv)
{
        struct sgx_enclave_run run = {0};
        vdso_sgx_enter_enclave_t function = find_enter();
        uint64_t out = 0;
        uint8_t *base;

        CHECK(argc == 3 && function);
        base = build(argv[1], argv[2]);
        run.tcs = (uint64_t)(uintptr_t)base;
        handle_signals();
        CHECK(enter(function, 0, &out, &run) == 0);
        CHECK(out == magic && run.function == EEXIT);
        run.user_handler = (uint64_t)(uintptr_t)on_exit_of_enclave;
        CHECK(enter(function, 0, &out, &run) == 0 && handled == EEXIT);
        run.user_handler = 0;
        CHECK(check_traps(function, &run) == 0);
        /* An exception in the enclave comes back as a result: it writes to an address where nothing is. */
        CHECK(enter(function, 0, (void *)8, &run) == -14);
        CHECK(run.function == ERESUME && run.exception_vector == 14 && run.exception_addr == 0);
        run.tcs += PAGE; /* no TCS */
        CHECK(enter(function, 0, &out, &run) == -14 && run.function == EENTER);
        run.reserved[0] = 1;
        CHECK(enter(function, 0, &out, &run) == -22);
        CHECK(check_handlers() == 0);
        puts("the enclave ran");
        return 0;
}
