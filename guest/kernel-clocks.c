/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * kernel-clocks.c - the guest kernel takes from the command line what it would measure.
 *
 * tools/build-kernel puts this behind arch/x86/kernel/apic/apic.c; it is part of the kernel, and of no
 * program of ours.  A kernel counts for a tenth of a second how fast its local timer runs, and as long for
 * each further processor, doing nothing else, unless the hypervisor or the processor spares it that.  An
 * emulated machine has neither, but whoever emulates it knows.  Other kernels ignore these words:
 *
 *     coffer.lapic_khz=N     the frequency of local timers
 *     coffer.constant_tsc    the time-stamp counters of all processors run alike, and always
 */
static int __init coffer_set_lapic_khz(char *text)
{
        unsigned int khz;

        if (!text || kstrtouint(text, 10, &khz) < 0 || khz < 1000 || khz > 10 * 1000 * 1000)
                return -EINVAL;
        lapic_timer_period = (unsigned int)div_u64((u64)khz * 1000, HZ);
        return 0;
}
early_param("coffer.lapic_khz", coffer_set_lapic_khz);

static int __init coffer_set_constant_tsc(char *text)
{
        (void)text;
        setup_force_cpu_cap(X86_FEATURE_CONSTANT_TSC);
        setup_force_cpu_cap(X86_FEATURE_NONSTOP_TSC);
        return 0;
}
early_param("coffer.constant_tsc", coffer_set_constant_tsc);
