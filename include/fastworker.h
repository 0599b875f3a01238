/* fastworker.h - the whole public API: writing tasks, and submitting them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FASTWORKER_H
#define FASTWORKER_H
#include "fastworker/client.h"
#include "fastworker/module.h"
#include "fastworker/types.h"
#endif
