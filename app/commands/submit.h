/* app/commands/submit.h - what the two ways of `submit` share. SPDX-License-Identifier: Apache-2.0
 */
#ifndef FW_APP_COMMANDS_SUBMIT_H
#define FW_APP_COMMANDS_SUBMIT_H

#include "app/commands/options.h"
#include "base/json.h"
#include "fastworker/client.h"

/* How a run of submit is to behave. */
typedef struct fw_submit_way {
    bool json, quiet, non_blocking;
    int64_t wait_ms; /* for results */
} fw_submit_way;

enum { FW_SUBMIT_FLAGS = 39 };
extern const fw_option fw_submit_flags[FW_SUBMIT_FLAGS];

/* What the flags ask for, with the memory behind it. */
typedef struct fw_submit_request {
    fw_submit submit;
    fw_submit_way way;
    fw_buffer args, kwargs, options;
} fw_submit_request;
/* False: said on standard error what is wrong. To be given back in any case. */
bool fw_submit_request_read(fw_options *options, fw_submit_request *r);
void fw_submit_request_fini(fw_submit_request *r);

/* submit_options.c. The flags that stand for members of --options, written into out with those of
 * json; out stays empty without them. False: said what is wrong. */
bool fw_submit_options(fw_options *options, fw_buffer *out, fw_span json);

/* `submit --stdin`: tasks line by line. base: what lines do not say. Returns the exit status. */
int fw_submit_lines(fw_options *options, const fw_submit_way *way, const fw_submit *base);

#endif
