/* cache/node.c - the array that nodes stand in.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cache/node.h"

#include <stdlib.h>

#include "base/assert.h"

bool fw_nodes_init(fw_nodes *nodes, uint32_t count)
{
    uint32_t capacity = FW_NODE_SENTINELS + count;
    *nodes = (fw_nodes){.at = malloc(capacity * sizeof *nodes->at),
                        .capacity = capacity,
                        .made = FW_NODE_SENTINELS,
                        .free = FW_NODE_NONE};
    if (!nodes->at)
        return false;
    for (uint32_t i = 0; i < FW_NODE_SENTINELS; i++)
        nodes->at[i] =
            (fw_node){.newer = i, .older = i, .later = i, .sooner = i, .place = FW_PLACE_NONE};
    return true;
}

void fw_nodes_fini(fw_nodes *nodes)
{
    free(nodes->at);
    *nodes = (fw_nodes){.at = NULL};
}

bool fw_nodes_grow(fw_nodes *nodes, uint32_t likely)
{
    FW_ASSERT(nodes->capacity < UINT32_MAX / 2);
    uint32_t used = nodes->capacity - FW_NODE_SENTINELS;
    uint32_t more = used < likely && used * 2 > likely ? likely - used : used / 4 + 64;
    if (used * 2 <= likely)
        more = used + 64;
    size_t bytes = ((size_t)nodes->capacity + more) * sizeof *nodes->at;
    fw_node *grown = realloc(nodes->at, bytes);
    if (!grown)
        return false;
    nodes->at = grown;
    nodes->capacity += more;
    return true;
}
