/* web/later.c - see web/later.h. A client that leaves meanwhile is noticed: web/watch.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/later.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <h2o.h>

#include "base/assert.h"
#include "web/watch.h"

#define NO_PLACE UINT32_MAX

/* Lives in the request's pool and dies with it. */
typedef struct fw_web_parked {
    struct fw_web_later *later;
    h2o_req_t *req;
    h2o_socket_t *socket; /* NULL: not watched */
    uint32_t place;
    fw_web_answer answer; /* what the router has said; no body */
} fw_web_parked;

typedef struct later_place {
    fw_web_parked *parked; /* NULL: free, or the client has left */
    uint32_t next_free;
} later_place;

struct fw_web_later {
    /* Immutable. */
    void (*send)(h2o_req_t *req, fw_web_answer *answer);
    /* Under lock. */
    pthread_mutex_t lock;
    bool is_open;
    /* The web thread's own. */
    h2o_multithread_receiver_t inbox;
    later_place places[FW_WEB_LATERS];
    uint32_t first_free;
};

typedef struct late_answer {
    h2o_multithread_message_t super;
    uint32_t place;
    fw_web_answer answer;
} late_answer;

struct fw_web_later *fw_web_later_create(void (*send)(h2o_req_t *req, fw_web_answer *answer))
{
    struct fw_web_later *later = calloc(1, sizeof *later);
    if (!later)
        return NULL;
    later->send = send;
    FW_ASSERT(pthread_mutex_init(&later->lock, NULL) == 0);
    for (uint32_t i = 0; i < FW_WEB_LATERS; i++)
        later->places[i].next_free = i + 1 < FW_WEB_LATERS ? i + 1 : NO_PLACE;
    return later;
}

void fw_web_later_destroy(struct fw_web_later *later)
{
    if (!later)
        return;
    FW_ASSERT(!later->is_open);
    pthread_mutex_destroy(&later->lock);
    free(later);
}

/* --- watching --- */

static void stop_watching(fw_web_parked *parked)
{
    if (!parked->socket)
        return;
    fw_web_watch_stop(parked->socket);
    parked->socket = NULL;
}

static fw_web_parked *parked_on(struct fw_web_later *later, const h2o_socket_t *socket)
{
    for (uint32_t i = 0; i < FW_WEB_LATERS; i++) {
        fw_web_parked *parked = later->places[i].parked;
        if (parked && parked->socket == socket)
            return parked;
    }
    return NULL;
}

/* The web thread's: a socket's callback is told nothing of ours. */
static _Thread_local struct fw_web_later *my_later;

/* Takes the answer. */
static void answer_parked(fw_web_parked *parked, fw_web_answer *late)
{
    struct fw_web_later *later = parked->later;
    fw_web_answer answer = *late;
    stop_watching(parked);
    later->places[parked->place].parked = NULL;
    parked->later = NULL;
    *late = (fw_web_answer){.status = 0};
    memcpy(answer.allow_origin, parked->answer.allow_origin, sizeof answer.allow_origin);
    memcpy(answer.allow_methods, parked->answer.allow_methods, sizeof answer.allow_methods);
    fw_web_answer_settle(&answer);
    later->send(parked->req, &answer);
}

static void answer_unavailable(fw_web_parked *parked)
{
    fw_web_answer answer = fw_web_answer_begin();
    fw_web_problem(&answer, 503, NULL, NULL);
    answer_parked(parked, &answer);
}

static void on_readable(h2o_socket_t *socket, const char *error)
{
    fw_web_parked *parked = parked_on(my_later, socket);
    FW_ASSERT(parked);
    fw_web_seen seen = fw_web_watch_look(socket, error);
    if (seen == FW_WEB_MORE)
        stop_watching(parked); /* the next request waits its turn */
    if (seen != FW_WEB_GONE)
        return;
    shutdown(h2o_socket_get_fd(socket), SHUT_RDWR);
    answer_unavailable(parked);
}

static void on_request_end(void *object)
{
    fw_web_parked *parked = object;
    if (parked->later)
        parked->later->places[parked->place].parked = NULL;
}

/* --- parking --- */

fw_web_ticket fw_web_later_ticket(struct fw_web_later *later)
{
    uint32_t place = later->first_free;
    return (fw_web_ticket){place == NO_PLACE ? NULL : later, place};
}

void fw_web_later_park(struct fw_web_later *later, fw_web_ticket ticket, h2o_req_t *req,
                       const fw_web_answer *answer)
{
    FW_ASSERT(ticket.later == later && ticket.place == later->first_free);
    fw_web_parked *parked = h2o_mem_alloc_shared(&req->pool, sizeof *parked, on_request_end);
    *parked = (fw_web_parked){.later = later,
                              .req = req,
                              .socket = req->conn->callbacks->get_socket(req->conn),
                              .place = ticket.place,
                              .answer = *answer};
    later_place *here = &later->places[ticket.place];
    FW_ASSERT(!here->parked);
    later->first_free = here->next_free;
    here->parked = parked;
    fw_web_watch_start(parked->socket, on_readable);
}

/* --- answering --- */

void fw_web_answer_later(const fw_web_ticket *ticket, fw_web_answer *answer)
{
    struct fw_web_later *later = ticket->later;
    late_answer *late = malloc(sizeof *late);
    FW_ASSERT(late);
    *late = (late_answer){.place = ticket->place, .answer = *answer};
    *answer = fw_web_answer_begin();
    pthread_mutex_lock(&later->lock);
    bool is_open = later->is_open;
    if (is_open)
        h2o_multithread_send_message(&later->inbox, &late->super);
    pthread_mutex_unlock(&later->lock);
    if (is_open)
        return;
    fw_web_answer_fini(&late->answer);
    free(late);
}

static void on_answers(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    struct fw_web_later *later = FW_CONTAINER_OF(receiver, struct fw_web_later, inbox);
    while (!h2o_linklist_is_empty(messages)) {
        h2o_linklist_t *link = messages->next;
        late_answer *late = FW_CONTAINER_OF(link, late_answer, super.link);
        h2o_linklist_unlink(link);
        later_place *here = &later->places[late->place];
        if (here->parked)
            answer_parked(here->parked, &late->answer);
        here->next_free = later->first_free;
        later->first_free = late->place;
        fw_web_answer_fini(&late->answer);
        free(late);
    }
}

void fw_web_later_open(struct fw_web_later *later, h2o_multithread_queue_t *queue)
{
    my_later = later;
    h2o_multithread_register_receiver(queue, &later->inbox, on_answers);
    pthread_mutex_lock(&later->lock);
    later->is_open = true;
    pthread_mutex_unlock(&later->lock);
}

void fw_web_later_close(struct fw_web_later *later)
{
    pthread_mutex_lock(&later->lock);
    later->is_open = false;
    pthread_mutex_unlock(&later->lock);
    for (uint32_t i = 0; i < FW_WEB_LATERS; i++) {
        if (later->places[i].parked)
            answer_unavailable(later->places[i].parked);
    }
}

void fw_web_later_leave(struct fw_web_later *later, h2o_multithread_queue_t *queue)
{
    h2o_multithread_unregister_receiver(queue, &later->inbox);
}
