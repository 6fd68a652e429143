/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - a kernel that is out to harm its parent, for tests/e2e/test_hostile_kernel.py.
 *
 * Theory of operation.  A guest whose kernel is Linux keeps virtio's rules whatever its programs do.  This
 * one is a kernel of its own, small enough to break them: it is put into an image as the kernel, starts in
 * the firmware's real-mode way (boot.S), sets up its vsock device as it should (vsock.c), and sends the
 * heartbeat, with which its supervisor takes the enclave for started.  Then it does, for ever:
 *
 *      an honest stream to the parent, ECHO_PORT: "before NAME 001", and back
 *      the attack that the command line names: hostile=NAME (rings.c, device.c, packets.c)
 *      an honest stream again: "after NAME 001"
 *
 * An attack on the rings is the end of the device, and so of the enclave; all others have to leave a device
 * that works.  What the parent must answer is looked at here, as only the guest sees it; a wrong answer is
 * told on the console and stops this guest, and the parent hears no "after".  "nothing" is an attack, too.
 * when=early has it in place of the heartbeat, while the parent still waits for that, and then nothing.
 */
#include "scenario.h"
#include "vsock.h"

enum { LINE_MAX = 64 };

void kernel_main(const char *cmdline);

static void nothing(void)
{
}

static const struct scenario honest = {"nothing", nothing};

static bool starts_with(const char *text, const char *word)
{
        while (*word && *text == *word)
                text++, word++;
        return !*word;
}

/* Whether the name is what stands at `text`, up to a space or the end. */
static bool is_name(const char *text, const char *name)
{
        char after = starts_with(text, name) ? text[strlen(name)] : 'x';

        return after == ' ' || after == '\0';
}

static const char *value_of(const char *cmdline, const char *key)
{
        while (*cmdline && !starts_with(cmdline, key))
                cmdline++;
        return *cmdline ? cmdline + strlen(key) : cmdline;
}

static const struct scenario *find_in(const struct scenario *scenarios, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++) {
                if (is_name(name, scenarios[i].name))
                        return &scenarios[i];
        }
        return NULL;
}

static const struct scenario *find(const char *name)
{
        const struct scenario *one = find_in(&honest, 1, name);

        if (!one)
                one = find_in(ring_scenarios, n_ring_scenarios, name);
        if (!one)
                one = find_in(device_scenarios, n_device_scenarios, name);
        if (!one)
                one = find_in(packet_scenarios, n_packet_scenarios, name);
        expect(one, "no attack of that name");
        return one;
}

static char *append(char *end, const char *text)
{
        while (*text)
                *end++ = *text++;
        return end;
}

static char digit(uint32_t number)
{
        return (char)('0' + number % 10);
}

static void tell(const char *when, const char *name, uint32_t round)
{
        const char digits[] = {' ', digit(round / 100), digit(round / 10), digit(round), '\0'};
        char line[LINE_MAX], *end = append(append(line, when), name);

        *end = '\0';
        say(line, round);
        *append(end, digits) = '\0';
        converse(line);
}

void kernel_main(const char *cmdline)
{
        device_find();
        device_start();
        const struct scenario *one = find(value_of(cmdline, "hostile="));
        if (is_name(value_of(cmdline, "when="), "early")) {
                one->attack();
                halt();
        }
        send_heartbeat();
        for (uint32_t round = 1;; round++) {
                tell("before ", one->name, round);
                one->attack();
                tell("after ", one->name, round);
        }
}
