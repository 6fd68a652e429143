/* SPDX-License-Identifier: Apache-2.0 */
/* The same input as an authfile, as a credential helper's answer and as WWW-Authenticate headers. */
#include "lib/image/credential-helper.h"
#include "lib/image/registry-auth.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_registry_credentials_entry struct registry_credentials_entry entry = {0};
        cleanup_registry_credentials struct registry_credentials helped = {0};
        cleanup_auth_challenge struct auth_challenge challenge = {0};
        cleanup_free char *text = view_to_string(view_of(data, size));

        (void)registry_credentials_parse(view_of(data, size), "docker.io", "library/debian", &entry, NULL);
        if (credential_helper_parse(view_of(data, size), &helped, NULL) == 0 && !helped.password &&
            !helped.identity_token)
                abort();
        if (text && auth_challenge_parse(text, &challenge, NULL) == 0 && challenge.scheme == AUTH_BEARER &&
            !challenge.realm)
                abort();
        return 0;
}
