/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign-pal.c - a PAL of version 2 by somebody who never saw pal.h: structures as the plug-ins that are
 * in use declare them, and nothing of ours.  If the layouts of the two ever part, this one fails.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct attributes {
        const char *args;
        const char *log_level;
};

struct streams {
        int in, out, err;
};

struct creation {
        char *path;
        char **argv;
        char **env;
        struct streams *streams;
        int *pid;
};

struct execution {
        int pid;
        int *exit_value;
};

int pal_get_version(void);
int pal_init(const struct attributes *attributes);
int pal_create_process(struct creation *creation);
int pal_exec(struct execution *execution);
int pal_kill(int pid, int sig);
int pal_destroy(void);

static char said[512];
static struct streams streams;

int pal_get_version(void)
{
        return 2;
}

int pal_init(const struct attributes *attributes)
{
        (void)snprintf(said, sizeof(said), "%s|%s", attributes->args, attributes->log_level);
        return 0;
}

int pal_create_process(struct creation *creation)
{
        size_t n = strlen(said);

        (void)snprintf(said + n, sizeof(said) - n, "|%s|%s|%s", creation->path, creation->argv[1],
                       creation->env[0]);
        streams = *creation->streams;
        *creation->pid = 4711;
        return 0;
}

int pal_exec(struct execution *execution)
{
        if (execution->pid != 4711)
                return -1;
        dprintf(streams.out, "%s\n", said);
        *execution->exit_value = 23;
        return 0;
}

int pal_kill(int pid, int sig)
{
        (void)pid;
        (void)sig;
        return 0;
}

int pal_destroy(void)
{
        return 0;
}
