/* app/life/unknown.h - tasks whose name nobody has told: they wait, but not for ever.
 *
 * Where tasks are left to subworkers (--no-local), or once one has registered, a name that nobody
 * knows may belong to one that is not there yet, as in a rolling deploy. Its tasks wait as long as
 * unknown-hold says; then they end as failures, are kept among the dead (fastworker dead), and can
 * be run again when somebody knows them. A name that was told once waits without a limit for
 * whoever told it. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_UNKNOWN_H
#define FW_APP_UNKNOWN_H

#include "app/life/lifecycle.h"

/* A task of this name, which nobody has told, is about to wait. Warns the first time. Any thread.
 */
void fw_unknown_waits(fw_lifecycle *life, const fw_name *name);
/* Ends what has waited too long. One caller, about every second. */
void fw_unknown_sweep(fw_lifecycle *life, int64_t now_wall_ns);

#endif
