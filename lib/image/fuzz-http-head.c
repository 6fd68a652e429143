/* SPDX-License-Identifier: Apache-2.0 */
/* The same input as each header that decides about a transfer, and as the URLs of a redirect and a proxy. */
#include "lib/image/http-head.h"
#include "lib/image/http-proxy.h"
#include "lib/image/http-url.h"

#include "lib/base/view.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const hosts[] = {"example.org", "h:5000", NULL};
        cleanup_free char *text = view_to_string(view_of(data, size));
        cleanup_http_proxy struct http_proxy proxy = {0};
        char shown[HTTP_URL_SHOWN_MAX];
        struct http_range range;
        uint32_t seconds;

        if (!text)
                return 0;
        if (http_range_parse(text, &range) &&
            (range.first > range.last || (range.has_total && range.last >= range.total)))
                abort();
        if (http_retry_after_parse(text, 1445412480, &seconds) && seconds > INT32_MAX)
                abort();
        cleanup_free char *origin = http_url_origin(text);
        if (origin && !strstr(origin, "://"))
                abort();
        (void)http_url_is_among(text, hosts);
        (void)http_url_is_local(text);
        http_url_show(text, shown);
        for (const char *c = shown; *c; c++)
                if (*c < ' ' || *c > '~')
                        abort();
        if (setenv("https_proxy", text, 1) == 0)
                (void)http_proxy_find("https://h/", &proxy, NULL);
        return 0;
}
