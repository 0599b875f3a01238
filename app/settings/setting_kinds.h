/* app/settings/setting_kinds.h - how the text of a setting becomes its value, and back.
 *
 * Each kind is a pair of functions; the table in settings.c names one per setting.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_SETTING_KINDS_H
#define FW_APP_SETTING_KINDS_H

#include "app/settings/settings.h"

typedef struct fw_setting fw_setting;

typedef struct fw_setting_kind {
    /* False: the text is not allowed; target is untouched. Texts are copied. */
    bool (*parse)(const fw_setting *setting, const char *text, void *target);
    /* Writes the value as parse would take it. */
    void (*print)(const fw_setting *setting, const void *target, char *out, size_t capacity);
} fw_setting_kind;

struct fw_setting {
    const char *name, *initial; /* initial: the default, as text; NULL: none */
    const fw_setting_kind *kind;
    size_t offset;       /* in fw_settings */
    int64_t least, most; /* for numbers, sizes and times (ns) */
    const char *words;   /* for choices: "a b c" */
    const char *allowed; /* for people */
    const char *meaning;
    bool secret; /* never shown, never a flag */
};

extern const fw_setting_kind fw_kind_text; /* char *, "" is NULL */
extern const fw_setting_kind
    fw_kind_list; /* char *, values of several flags are joined by spaces */
extern const fw_setting_kind fw_kind_origins; /* char *, "*" or scheme://host[:port], by commas */
extern const fw_setting_kind fw_kind_id;      /* char *, no ':' and not empty */
extern const fw_setting_kind
    fw_kind_address; /* char *, tcp:// or tls+tcp://host:port; most: the highest port */
extern const fw_setting_kind fw_kind_number; /* int64_t; "auto" is 0 where least is 0 or 1 and
                                               initial is auto;  the word in words is -1 */
extern const fw_setting_kind fw_kind_power;  /* int64_t, a power of two; auto as above */
extern const fw_setting_kind
    fw_kind_size; /* int64_t bytes: 64K 8M 1G, or 25% of the memory allowed */
extern const fw_setting_kind fw_kind_duration; /* int64_t ns: plain seconds, or ms s m h d */
extern const fw_setting_kind fw_kind_switch;   /* int64_t: true 1 yes on, false 0 no off */
extern const fw_setting_kind fw_kind_choice;   /* int64_t: place of the word */
extern const fw_setting_kind fw_kind_spin;     /* fw_spin_setting */
extern const fw_setting_kind fw_kind_affinity; /* fw_affinity_setting */
extern const fw_setting_kind fw_kind_weights;  /* unsigned[FW_LEVELS] */

#endif
