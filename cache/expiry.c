/* cache/expiry.c - turning the wheel.
 *
 * Key invariant: every node on the wheel has a second later than at_s, and stands in a slot whose
 * hand comes by at that second or before. SPDX-License-Identifier: Apache-2.0 */
#include "cache/expiry.h"

#include "base/assert.h"

void fw_expiry_init(fw_expiry *expiry)
{
    *expiry = (fw_expiry){.at_s = 0};
}

/* Puts a node where it belongs as seen from `second`, in another slot than that second's. */
static void relink(fw_nodes *nodes, uint32_t index, int64_t second)
{
    fw_node *at = nodes->at;
    at[at[index].sooner].later = at[index].later;
    at[at[index].later].sooner = at[index].sooner;
    int64_t due = fw_expiry_second(fw_node_entry(nodes, index)->expires_ns);
    FW_ASSERT(due >= second);
    fw_expiry_link(nodes, fw_expiry_slot(due, second), index);
}

/* Nodes of a slot come nearer, as seen from `second`. => false: work ran out. */
static bool bring_nearer(fw_nodes *nodes, uint32_t slot, int64_t second, size_t *work)
{
    fw_node *at = nodes->at;
    while (at[slot].later != slot) {
        if (*work == 0)
            return false;
        --*work;
        relink(nodes, at[slot].later, second);
    }
    return true;
}

/* What the outer circles hold for a second at which their hands move. => false: work ran out. */
static bool turn_outer(fw_nodes *nodes, int64_t second, size_t *work)
{
    if (second % (FW_WHEEL_SLOTS * FW_WHEEL_SLOTS) == 0) {
        uint32_t slot =
            2 * FW_WHEEL_SLOTS + (uint32_t)((second >> (2 * FW_WHEEL_BITS)) % FW_WHEEL_SLOTS);
        if (!bring_nearer(nodes, slot, second, work))
            return false;
    }
    uint32_t slot = FW_WHEEL_SLOTS + (uint32_t)((second >> FW_WHEEL_BITS) % FW_WHEEL_SLOTS);
    return bring_nearer(nodes, slot, second, work);
}

uint32_t fw_expiry_due(fw_expiry *expiry, fw_nodes *nodes, int64_t now_s, size_t *work)
{
    while (expiry->at_s < now_s) {
        if (expiry->count == 0) {
            expiry->at_s = now_s;
            break;
        }
        int64_t second = expiry->at_s + 1;
        if (second % FW_WHEEL_SLOTS == 0 && !turn_outer(nodes, second, work))
            break;
        uint32_t slot = (uint32_t)(second % FW_WHEEL_SLOTS), first = nodes->at[slot].later;
        if (first == slot) {
            expiry->at_s = second;
            continue;
        }
        if (fw_expiry_second(fw_node_entry(nodes, first)->expires_ns) <= second)
            return first;
        if (*work == 0)
            break;
        --*work;
        relink(nodes, first, second);
    }
    return FW_NODE_NONE;
}
