/* fastworker/types.h - the few types that every part of FastWorker and every user of it shares.
 *
 * Argument order everywhere: object, outputs, inputs (a length follows its pointer), callback,
 * context. RETURN     int: 0 or more is success, below 0 is -FW_E...; outputs are untouched on
 * failure. UNITS      times end in _ns, _ms or _s; sizes are bytes. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FASTWORKER_TYPES_H
#define FASTWORKER_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FW_API       __attribute__((visibility("default")))
#define FW_FMT(f, a) __attribute__((format(printf, f, a)))
#define FW_MUST      __attribute__((warn_unused_result))
#else
#define FW_API
#define FW_FMT(f, a)
#define FW_MUST
#endif

/* Bytes that belong to somebody else; JSON text where said so; not NUL-ended. */
typedef struct fw_span {
    const char *ptr;
    size_t len;
} fw_span;

/* A task's name for itself: NUL-ended text, at most 39 bytes: a UUID, or the caller's own key.
 * The wire accepts ids of up to FW_ID_MAX bytes from other peers. */
typedef struct fw_id {
    char s[40];
} fw_id;
enum { FW_ID_MAX = 255 };

/* Priority, highest first; also the index of a level and the offset of its port. */
typedef enum fw_prio { FW_CRITICAL = 0, FW_HIGH, FW_NORMAL, FW_LOW } fw_prio;
enum { FW_LEVELS = 4 };

/* The nine states of a task, and the answer for an id that nobody knows. */
typedef enum fw_state {
    FW_PENDING = 0,
    FW_QUEUED,
    FW_SCHEDULED,
    FW_ASSIGNED,
    FW_RUNNING,
    FW_SUCCESS,
    FW_FAILURE,
    FW_RETRYING,
    FW_CANCELLED,
    FW_UNKNOWN
} fw_state;

/* Stable numbers; functions return them negated. */
enum fw_err {
    FW_EINVAL = 1, /* a wrong argument or value */
    FW_ENOMEM,     /* no memory */
    FW_ETIME,      /* the time limit passed */
    FW_EFULL,      /* refused for now: a limit is reached */
    FW_EBIG,       /* larger than the limit */
    FW_ENOTASK,    /* no such task name */
    FW_EUNKNOWN,   /* no such id, never seen */
    FW_EDUP,       /* an equal key is alive */
    FW_ENOCONN,    /* nobody reachable */
    FW_EAUTH,      /* not permitted: token */
    FW_EPROTO,     /* the peer speaks something else */
    FW_ECANCELLED, /* the task was cancelled */
    FW_ECLOSED,    /* the object is being closed */
    FW_EABI,       /* built against another version */
    FW_EPERM,      /* not permitted: operating system */
    FW_EAGAIN,     /* try again */
    FW_EEXPIRED    /* the id was known; its result is gone */
};

/* Lower-case wire words, static text: "critical", "success", ... */
FW_API const char *fw_prio_name(fw_prio prio);
FW_API const char *fw_state_name(fw_state state);
/* -1 unless the text is exactly such a word. Any thread. */
FW_API int fw_prio_parse(fw_span text);
FW_API int fw_state_parse(fw_span text);
FW_API const char *fw_version(void);
/* Static English text for -FW_E... or FW_E.... */
FW_API const char *fw_strerror(int err);

#ifdef __cplusplus
}
#endif
#endif
