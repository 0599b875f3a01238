/* net/client_ports.c - see net/client_ports.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/client_ports.h"

#include <pthread.h>
#include <string.h>

#include "base/assert.h"

enum { PORTS_MAX = 256 };

typedef struct port_entry {
    const void *owner; /* NULL: free */
    fw_address address;
} port_entry;

static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;
static port_entry ports[PORTS_MAX];

static bool same(const fw_address *a, const fw_address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool fw_port_take(const fw_address *address, const void *owner)
{
    FW_ASSERT(owner != NULL);
    port_entry *room = NULL;
    const void *present = NULL;
    pthread_mutex_lock(&ports_lock);
    for (int i = 0; i < PORTS_MAX && present == NULL; i++) {
        if (ports[i].owner == NULL)
            room = room == NULL ? &ports[i] : room;
        else if (same(&ports[i].address, address))
            present = ports[i].owner;
    }
    if (present == NULL && room != NULL) {
        room->owner = present = owner;
        room->address = *address;
    }
    pthread_mutex_unlock(&ports_lock);
    return present == owner;
}

void fw_port_give_back(const fw_address *address, const void *owner)
{
    FW_ASSERT(owner != NULL);
    pthread_mutex_lock(&ports_lock);
    for (int i = 0; i < PORTS_MAX; i++)
        if (ports[i].owner == owner && same(&ports[i].address, address))
            ports[i].owner = NULL;
    pthread_mutex_unlock(&ports_lock);
}
