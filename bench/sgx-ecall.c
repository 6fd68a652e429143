/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sgx-ecall ENCL.BIN ENCL.SS: the round trip of a call into the skeleton enclave, in simulation (EENTER and EEXIT), by
 * the gate and by a program's own ENCLU; and what a trap costs on this machine, by the instruction that causes it, from
 * the instruction to an empty handler and back.  Prints the median of many rounds, and the fastest, in microseconds.
 */
#include "lib/base/file.h"
#include "lib/sgx/loader.h"
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>

enum { ROUNDS = 200, CALLS = 500, NANOSECONDS = 1000000000 };

static double seconds(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / NANOSECONDS;
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static int load(const char *image, const char *signature, struct sgx_enclave *ret_enclave, struct error *err)
{
        cleanup_buf struct buf bin = buf_with_max(1 << 24), ss = buf_with_max(SGX_SIGSTRUCT_SIZE);
        struct sgx_load spec = {.driver = &sgx_driver_simulation, .os = &sgx_os_simulated, .simulated = true};
        int r = file_read(AT_FDCWD, image, 1 << 24, &bin, err);

        if (r == 0)
                r = file_read(AT_FDCWD, signature, SGX_SIGSTRUCT_SIZE, &ss, err);
        if (r == 0)
                r = sgx_sim_start(NULL, err);
        if (r < 0)
                return r;
        spec.fd = sgx_os_simulated.open(NULL, "/dev/sgx_enclave", O_RDWR | O_CLOEXEC);
        spec.image = buf_view(&bin);
        spec.sigstruct = buf_view(&ss);
        return sgx_load(&spec, ret_enclave, err);
}

static void measure(const char *name, void (*once)(void))
{
        static double times[ROUNDS];

        for (size_t round = 0; round < ROUNDS; round++) {
                double begin = seconds();

                for (size_t i = 0; i < CALLS; i++)
                        once();
                times[round] = (seconds() - begin) / CALLS * 1e6;
        }
        qsort(times, ROUNDS, sizeof(times[0]), compare);
        printf("%-20s median %6.2f us, fastest %6.2f us\n", name, times[ROUNDS / 2], times[0]);
}

static struct sgx_enclave enclave;
static uint64_t out;

static void call_by_gate(void)
{
        sgx_sim_ecall(enclave.base, 0, (uint64_t)(uintptr_t)&out, 0, 0);
}

static void call_by_enclu(void)
{
        sgx_ecall(enclave.base, 0, (uint64_t)(uintptr_t)&out, 0, 0);
}

static int skip; /* bytes of the instruction */

static void on_signal(int signal, siginfo_t *info, void *context)
{
        (void)signal, (void)info;
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += skip;
}

static void execute_hlt(void)
{
        __asm__ volatile("hlt" : : : "memory");
}

static void execute_ud2(void)
{
        __asm__ volatile("ud2" : : : "memory");
}

static void execute_enclu(void)
{
        __asm__ volatile("enclu" : : "a"(SGX_EENTER), "b"(0), "c"(0) : "memory");
}

static void measure_trap(const char *name, int size, void (*once)(void))
{
        skip = size;
        measure(name, once);
}

static void measure_traps(void)
{
        struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

        sigaction(SIGSEGV, &action, NULL);
        sigaction(SIGILL, &action, NULL);
        measure_trap("trap of HLT", 1, execute_hlt);
        measure_trap("trap of ENCLU", 3, execute_enclu);
        measure_trap("trap of UD2", 2, execute_ud2);
}

int main(int argc, char **argv)
{
        struct error err = {0};

        if (argc != 3 || load(argv[1], argv[2], &enclave, &err) < 0) {
                fprintf(stderr, "sgx-ecall: %s\n", argc == 3 ? error_text(&err) : "ENCL.BIN ENCL.SS");
                return 1;
        }
        measure("call by the gate", call_by_gate);
        measure("call by ENCLU", call_by_enclu);
        sgx_unload(&enclave);
        sgx_sim_stop();
        measure_traps();
        return 0;
}
