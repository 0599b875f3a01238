/* app/local_subworkers.h - subworker processes of the control plane's own, so that the code of
 * tasks runs beside it and not in it. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_LOCAL_SUBWORKERS_H
#define FW_APP_LOCAL_SUBWORKERS_H

#include "app/settings/settings.h"
#include "app/supervisor.h"

/* settings->local_subworkers of them, "<worker-id>-local-0" and so on, which share the threads that
 * the control plane would have; started again when they end. address: of the control plane. 0 or
 * -FW_ENOMEM. Ends with fw_supervisor_stop. */
int fw_local_subworkers_start(fw_supervisor **out, const fw_settings *settings,
                              const char *address);

#endif
