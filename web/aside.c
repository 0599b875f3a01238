/* web/aside.c - see web/aside.h.
 *
 * A client may leave while its answer is made, and what the library knows of its request goes with
 * it: a job owns all that a handler may look at. SPDX-License-Identifier: Apache-2.0 */
#include "web/aside.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rcu.h"

typedef struct job {
    struct job *next;
    const fw_web_route *route;
    void *context;
    bool is_problem;
    fw_web_request request; /* its spans are in bytes */
    char bytes[];
} job;

struct fw_web_aside {
    pthread_t thread; /* immutable */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock. */
    job *first, **last;
    bool is_over;
};

/* --- the copy --- */

enum { SPANS_MAX = 14 + FW_WEB_PARAMS_MAX + 2 * FW_WEB_QUERY_MAX };

/* All that is borrowed; names of parameters are the route's. */
static size_t spans_of(fw_web_request *r, fw_span *out[SPANS_MAX])
{
    fw_span *const fixed[] = {&r->method,         &r->path,          &r->query,
                              &r->body,           &r->authorization, &r->origin,
                              &r->sec_fetch_site, &r->host,          &r->if_none_match,
                              &r->accept,         &r->content_type,  &r->idempotency_key,
                              &r->prefer,         &r->last_event_id};
    size_t count = sizeof fixed / sizeof fixed[0];
    memcpy(out, fixed, sizeof fixed);
    for (size_t i = 0; i < r->param_count; i++)
        out[count++] = &r->params[i].value;
    for (size_t i = 0; i < r->query_count; i++) {
        out[count++] = &r->queries[i].name;
        out[count++] = &r->queries[i].value;
    }
    FW_ASSERT(count <= SPANS_MAX);
    return count;
}

static job *job_of(const fw_web_request *request)
{
    fw_span *spans[SPANS_MAX];
    fw_web_request copy = *request;
    size_t total = 0, count = spans_of(&copy, spans);
    for (size_t i = 0; i < count; i++)
        total += spans[i]->len;
    job *j = malloc(sizeof *j + total);
    if (!j)
        return NULL;
    *j = (job){.request = copy};
    char *at = j->bytes;
    spans_of(&j->request, spans);
    for (size_t i = 0; i < count; i++) {
        if (spans[i]->len == 0)
            continue;
        memcpy(at, spans[i]->ptr, spans[i]->len);
        spans[i]->ptr = at;
        at += spans[i]->len;
    }
    return j;
}

bool fw_web_aside_push(fw_web_aside *aside, const fw_web_route *route, void *context,
                       const fw_web_request *request, bool is_problem)
{
    job *j = job_of(request);
    if (!j)
        return false;
    j->route = route;
    j->context = context;
    j->is_problem = is_problem;
    pthread_mutex_lock(&aside->lock);
    *aside->last = j;
    aside->last = &j->next;
    pthread_cond_signal(&aside->changed);
    pthread_mutex_unlock(&aside->lock);
    return true;
}

/* --- the thread --- */

/* NULL: it is over. */
static job *next_job(fw_web_aside *aside)
{
    pthread_mutex_lock(&aside->lock);
    while (!aside->first && !aside->is_over)
        pthread_cond_wait(&aside->changed, &aside->lock);
    job *j = aside->is_over ? NULL : aside->first;
    if (j) {
        aside->first = j->next;
        if (!aside->first)
            aside->last = &aside->first;
    }
    pthread_mutex_unlock(&aside->lock);
    return j;
}

static void *run(void *argument)
{
    for (job *j; (j = next_job(argument)) != NULL; free(j)) {
        fw_web_answer answer = fw_web_answer_begin();
        answer.is_problem = j->is_problem;
        j->route->handler(j->context, &j->request, &answer);
        FW_ASSERT(!answer.is_later && !answer.take);
        fw_web_route_audit(j->route, &j->request, &answer);
        fw_web_answer_later(&j->request.ticket, &answer);
        fw_rcu_flush();
    }
    return NULL;
}

/* --- life --- */

fw_web_aside *fw_web_aside_create(void)
{
    fw_web_aside *aside = calloc(1, sizeof *aside);
    if (!aside)
        return NULL;
    aside->last = &aside->first;
    FW_ASSERT(pthread_mutex_init(&aside->lock, NULL) == 0);
    FW_ASSERT(pthread_cond_init(&aside->changed, NULL) == 0);
    if (pthread_create(&aside->thread, NULL, run, aside) != 0) {
        pthread_cond_destroy(&aside->changed);
        pthread_mutex_destroy(&aside->lock);
        free(aside);
        return NULL;
    }
    pthread_setname_np(aside->thread, "fw-web-aside");
    return aside;
}

void fw_web_aside_destroy(fw_web_aside *aside)
{
    if (!aside)
        return;
    pthread_mutex_lock(&aside->lock);
    aside->is_over = true;
    pthread_cond_signal(&aside->changed);
    pthread_mutex_unlock(&aside->lock);
    pthread_join(aside->thread, NULL);
    for (job *j = aside->first, *next; j; j = next) {
        next = j->next;
        free(j);
    }
    pthread_cond_destroy(&aside->changed);
    pthread_mutex_destroy(&aside->lock);
    free(aside);
}
