/* web/refusals.h - what the library refuses by itself, before anything of ours has seen it, in the
 * form of all other errors. Web thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_REFUSALS_H
#define FW_WEB_REFUSALS_H

#include <stddef.h>

struct st_h2o_hostconf_t;

/* Once, before requests. body_max: what is told of a body that is too large. */
void fw_web_refusals_register(struct st_h2o_hostconf_t *host, size_t body_max);

#endif
