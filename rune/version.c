/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/version.h"
#include "rune/commit.h"
#include "rune/rune.h"

#include <seccomp.h>

const char *version_commit(void)
{
        return RUNE_COMMIT;
}

void version_libseccomp(char ret_text[16])
{
        const struct scmp_version *version = seccomp_version();

        (void)snprintf(ret_text, 16, "%u.%u.%u", version->major % 1000, version->minor % 1000,
                       version->micro % 1000);
}

int version_append(const char *name, struct buf *text)
{
        char libseccomp[16];

        version_libseccomp(libseccomp);
        return buf_printf(text,
                          "%s version " COFFER_VERSION "\ncommit: %s\nspec: " RUNE_SPEC_VERSION
                          "\nlibseccomp: %s\n",
                          name, version_commit(), libseccomp);
}
