/* app/compose/graph_node.h - a node from inside: for app/compose/graph.c and
 * app/compose/named_groups.c. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_GRAPH_NODE_H
#define FW_APP_GRAPH_NODE_H

#include "app/compose/graph.h"
#include "base/atomic.h"

enum { FW_NODE_TEXT = 64 };

struct fw_node {
    fw_atomic(uint32_t) pending; /* ends to come, and who builds it */
    fw_atomic(uint32_t) owners;  /* those ends together, and the task that it holds */
    fw_atomic(uint32_t) failures;
    fw_atomic(fw_task *) task; /* NULL: none yet, or taken */
    struct fw_node *next;      /* who resolves it */
    int64_t due_ns;
    /* Written by the first failure. */
    bool gone; /* it is only known to have ended */
    char first[FW_NODE_TEXT];
    fw_after_failure on_failure;
    /* A group's, under the lock of app/compose/named_groups.c. */
    fw_key name;
    struct fw_node *next_group;
    int64_t idle_since_ns; /* 0: it is not */
};

#endif
