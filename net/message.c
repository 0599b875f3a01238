/* net/message.c - the words of net/message.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/message.h"

#include "base/assert.h"

static const char *const refusal_names[FW_REFUSALS] = {
    [FW_REFUSED_FULL] = "full",           [FW_REFUSED_TOO_BIG] = "too_big",
    [FW_REFUSED_MALFORMED] = "malformed", [FW_REFUSED_PICKLE] = "pickle",
    [FW_REFUSED_AUTH] = "auth",           [FW_REFUSED_RATE] = "rate",
    [FW_REFUSED_DRAINING] = "draining",   [FW_REFUSED_UNKNOWN_NAME] = "unknown_name",
    [FW_REFUSED_RECALLED] = "recalled",
};

const char *fw_refusal_name(fw_refusal refusal)
{
    FW_ASSERT((unsigned)refusal < FW_REFUSALS);
    return refusal_names[refusal];
}
