/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/measurements.h"
#include "lib/eif/describe.h"
#include "lib/eif/signature.h"

json_t *measurements_json(const struct eif_pcrs *pcrs, const struct certificate *certificate)
{
        struct digest pcr8;
        json_t *result = json_pack("{s:s}", "digest", "SHA384");

        if (certificate && eif_pcr8(certificate, &pcr8) < 0) {
                json_decref(result);
                return NULL;
        }
        json_t *described = eif_describe_pcrs(pcrs, certificate ? &pcr8 : NULL);
        json_object_del(described, "HashAlgorithm");
        int r = described ? json_object_update(result, described) : -1;
        json_decref(described);
        if (r == 0)
                return result;
        json_decref(result);
        return NULL;
}
