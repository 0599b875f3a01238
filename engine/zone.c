/* engine/zone.c - see engine/zone.h.
 *
 * The table of a file is kept as moments and the offsets from then on, without entries that change
 * nothing; from the last entry on the rule tells. SPDX-License-Identifier: Apache-2.0 */
#include "engine/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/civil.h"
#include "engine/zone_rule.h"

static const char *const zone_folder = "/usr/share/zoneinfo";
static const int64_t first_s = -INT64_C(62135596800), last_s = INT64_C(253402300799);

enum { HEADER = 44, FILE_MAX = 256 << 10, CHANGES_MAX = 16384, KINDS_MAX = 256 };
/* RFC 9636: offsets lie between. */
enum { OFFSET_LEAST = -89999, OFFSET_MOST = 93599 };

struct fw_zone {
    fw_zone_rule rule;   /* from rule_from_s on */
    int64_t rule_from_s; /* INT64_MIN: always */
    int32_t before_s;    /* offset before the table */
    size_t count;
    int32_t *offsets; /* behind the moments */
    int64_t moments[];
};

/* --- reading a file --- */

typedef struct counts {
    uint32_t is_ut, is_standard, leaps, changes, kinds, chars;
} counts;

static uint32_t read_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t read_time(const unsigned char *at, size_t width)
{
    if (width == 4)
        return (int32_t)read_u32(at);
    return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

/* What follows a header, in bytes; 0: that is none. */
static size_t read_header(counts *c, const unsigned char *at, size_t left, size_t width)
{
    if (left < HEADER || memcmp(at, "TZif", 4) != 0)
        return 0;
    *c = (counts){read_u32(at + 20), read_u32(at + 24), read_u32(at + 28),
                  read_u32(at + 32), read_u32(at + 36), read_u32(at + 40)};
    if (c->changes > CHANGES_MAX || c->kinds > KINDS_MAX || c->kinds == 0 || c->chars > FILE_MAX ||
        c->leaps > CHANGES_MAX || c->is_ut > KINDS_MAX || c->is_standard > KINDS_MAX)
        return 0;
    size_t body = c->changes * (width + 1) + c->kinds * 6u + c->chars + c->leaps * (width + 4) +
                  c->is_standard + c->is_ut;
    return body <= left - HEADER ? body : 0;
}

static fw_zone *allocate(size_t count)
{
    fw_zone *zone = calloc(1, sizeof *zone + count * (sizeof(int64_t) + sizeof(int32_t)));
    if (zone)
        zone->offsets = (int32_t *)(void *)(zone->moments + count);
    return zone;
}

/* The offsets of the kinds; before any change the first that is no summer time counts. */
static bool read_kinds(int32_t out[KINDS_MAX], int32_t *before_s, const unsigned char *at,
                       size_t count)
{
    bool found = false;
    for (size_t i = 0; i < count; i++, at += 6) {
        out[i] = (int32_t)read_u32(at);
        if (out[i] < OFFSET_LEAST || out[i] > OFFSET_MOST)
            return false;
        if (!found && at[4] == 0) {
            *before_s = out[i];
            found = true;
        }
    }
    if (!found)
        *before_s = out[0];
    return true;
}

/* Fills the table from the block behind a header. */
static bool read_block(fw_zone *zone, const counts *c, const unsigned char *at, size_t width)
{
    int32_t kinds[KINDS_MAX];
    const unsigned char *indexes = at + c->changes * width;
    if (c->leaps > 0 || !read_kinds(kinds, &zone->before_s, indexes + c->changes, c->kinds))
        return false;
    int32_t current_s = zone->before_s;
    int64_t previous_s = INT64_MIN;
    for (size_t i = 0; i < c->changes; i++) {
        int64_t moment_s = read_time(at + i * width, width);
        if (indexes[i] >= c->kinds || (i > 0 && moment_s <= previous_s))
            return false;
        previous_s = moment_s;
        if (kinds[indexes[i]] == current_s)
            continue;
        current_s = kinds[indexes[i]];
        zone->moments[zone->count] = moment_s;
        zone->offsets[zone->count++] = current_s;
    }
    zone->rule_from_s = previous_s;
    zone->rule = (fw_zone_rule){.standard_s = current_s, .summer_s = current_s};
    return true;
}

int fw_zone_parse(fw_zone **out, fw_span file)
{
    const unsigned char *at = (const unsigned char *)file.ptr, *end = at + file.len;
    counts c;
    size_t width = 4, body = read_header(&c, at, file.len, width);
    if (body == 0)
        return -FW_EPROTO;
    bool modern = at[4] != 0;
    if (modern) {
        at += HEADER + body;
        width = 8;
        body = read_header(&c, at, (size_t)(end - at), width);
        if (body == 0)
            return -FW_EPROTO;
    }
    fw_zone *zone = allocate(c.changes);
    if (!zone)
        return -FW_ENOMEM;
    bool good = read_block(zone, &c, at + HEADER, width);
    at += HEADER + body;
    if (good && modern) {
        const unsigned char *stop = at < end ? memchr(at + 1, '\n', (size_t)(end - at - 1)) : NULL;
        good = stop && *at == '\n';
        fw_span text = {(const char *)at + 1, good ? (size_t)(stop - at - 1) : 0};
        if (good && text.len > 0)
            good = fw_zone_rule_parse(&zone->rule, text);
    }
    if (!good) {
        free(zone);
        return -FW_EPROTO;
    }
    *out = zone;
    return 0;
}

void fw_zone_free(fw_zone *zone)
{
    free(zone);
}

/* --- finding one --- */

static bool is_sane(fw_span name)
{
    if (name.len == 0 || name.len > FW_ZONE_NAME_MAX || name.ptr[0] == '/')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], lower = (char)(c | 0x20);
        bool plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
                     c == '+' || c == '-' || c == '/';
        if (!plain)
            return false; /* a point as well: nobody climbs out of the folder */
    }
    return true;
}

static bool is(fw_span text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

/* Reads a regular file and parses it. -FW_EUNKNOWN: there is none. */
static int load_file(fw_zone **out, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -FW_EUNKNOWN;
    int rc = -FW_EPROTO;
    char *bytes = NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= FILE_MAX) {
        bytes = malloc((size_t)status.st_size + 1);
        rc = bytes ? 0 : -FW_ENOMEM;
    }
    size_t len = 0;
    while (rc == 0 && len < (size_t)status.st_size) {
        ssize_t n = read(fd, bytes + len, (size_t)status.st_size - len);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    if (rc == 0)
        rc = fw_zone_parse(out, (fw_span){bytes, len});
    free(bytes);
    return rc;
}

static int load_named(fw_zone **out, fw_span name)
{
    char path[128];
    if (!is_sane(name))
        return -FW_EINVAL;
    snprintf(path, sizeof path, "%s/%.*s", zone_folder, (int)name.len, name.ptr);
    return load_file(out, path);
}

static int load_rule(fw_zone **out, fw_span text)
{
    fw_zone_rule rule;
    if (!fw_zone_rule_parse(&rule, text))
        return -FW_EINVAL;
    fw_zone *zone = allocate(0);
    if (!zone)
        return -FW_ENOMEM;
    zone->rule = rule;
    zone->rule_from_s = INT64_MIN;
    *out = zone;
    return 0;
}

/* As the C library takes it: a name, or a rule; what cannot be read is UTC. */
static int load_local(fw_zone **out)
{
    const char *own = getenv("TZ");
    if (own && *own == ':')
        own++;
    fw_span text = own ? (fw_span){own, strlen(own)} : (fw_span){0};
    int rc = own ? load_named(out, text) : load_file(out, "/etc/localtime");
    if (rc < 0 && own)
        rc = load_rule(out, text);
    return rc < 0 ? load_rule(out, (fw_span){"UTC0", 4}) : rc;
}

int fw_zone_load(fw_zone **out, char *error, size_t error_capacity, fw_span name)
{
    int rc;
    if (is(name, "local"))
        rc = load_local(out);
    else
        rc = is(name, "UTC") ? load_rule(out, (fw_span){"UTC0", 4}) : load_named(out, name);
    int shown = name.len <= FW_ZONE_NAME_MAX ? (int)name.len : FW_ZONE_NAME_MAX;
    if (rc == -FW_ENOMEM)
        snprintf(error, error_capacity, "out of memory");
    else if (rc == -FW_EPROTO)
        snprintf(error, error_capacity, "zone %.*s: its file in %s is damaged", shown, name.ptr,
                 zone_folder);
    else if (rc < 0)
        snprintf(error, error_capacity,
                 "zone %.*s: %s has no such file (names are like Europe/Berlin)", shown,
                 name.len ? name.ptr : "", zone_folder);
    return rc;
}

/* --- asking --- */

static int64_t within(int64_t unix_s)
{
    return unix_s < first_s ? first_s : unix_s > last_s ? last_s : unix_s;
}

/* How many entries of the table lie at or before that. */
static size_t place_of(const fw_zone *zone, int64_t unix_s)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zone->moments[middle] <= unix_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t fw_zone_offset(const fw_zone *zone, int64_t unix_s)
{
    unix_s = within(unix_s);
    if (unix_s >= zone->rule_from_s)
        return fw_zone_rule_offset(&zone->rule, unix_s);
    size_t place = place_of(zone, unix_s);
    return place > 0 ? zone->offsets[place - 1] : zone->before_s;
}

int64_t fw_zone_next_change(const fw_zone *zone, int64_t unix_s)
{
    if (unix_s >= last_s)
        return INT64_MAX;
    unix_s = within(unix_s);
    if (unix_s < zone->rule_from_s) {
        size_t place = place_of(zone, unix_s);
        if (place < zone->count && zone->moments[place] < zone->rule_from_s)
            return zone->moments[place];
        int64_t from_s = zone->rule_from_s;
        if (from_s > last_s || fw_zone_offset(zone, from_s) != fw_zone_offset(zone, unix_s))
            return from_s;
        unix_s = from_s;
    }
    return fw_zone_rule_next(&zone->rule, unix_s);
}

int fw_zone_find(const fw_zone *zone, int64_t out[2], int64_t local_s)
{
    /* Every moment at which clocks may show that lies in here. */
    local_s = within(local_s);
    int64_t from_s = local_s - OFFSET_MOST, until_s = local_s - OFFSET_LEAST;
    int64_t after_s = INT64_MAX;
    int count = 0;
    while (from_s <= until_s && count < 2) {
        int64_t end_s = fw_zone_next_change(zone, from_s);
        int64_t at_s = local_s - fw_zone_offset(zone, from_s);
        if (at_s >= from_s && at_s < end_s)
            out[count++] = at_s;
        else if (at_s >= end_s)
            after_s = end_s; /* clocks come to that only by a jump, at the earliest here */
        from_s = end_s;
    }
    if (count == 0)
        out[0] = after_s;
    return count;
}

/* --- times as text --- */

static bool digits(fw_span text, size_t *at, int count, int *out)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (*at >= text.len || text.ptr[*at] < '0' || text.ptr[*at] > '9')
            return false;
        value = value * 10 + (text.ptr[*at] - '0');
    }
    *out = value;
    return true;
}

static bool one_of(fw_span text, size_t *at, const char *allowed)
{
    if (*at >= text.len || text.ptr[*at] == '\0' || !strchr(allowed, text.ptr[*at]))
        return false;
    (*at)++;
    return true;
}

static bool read_fraction(fw_span text, size_t *at, int64_t *ns)
{
    int64_t unit = FW_NS_PER_S;
    int digit;
    if (!digits(text, at, 1, &digit))
        return false;
    do {
        unit /= 10;
        *ns += digit * unit;
    } while (digits(text, at, 1, &digit));
    return true;
}

/* Nothing, Z, +01:00 or +0100. */
static bool read_offset(fw_span text, size_t *at, bool *given, int64_t *offset_s)
{
    int hours, minutes;
    *given = *at < text.len;
    *offset_s = 0;
    if (!*given || one_of(text, at, "Zz"))
        return true;
    bool west = text.ptr[*at] == '-';
    if (!one_of(text, at, "+-") || !digits(text, at, 2, &hours))
        return false;
    (void)one_of(text, at, ":");
    if (!digits(text, at, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *offset_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

bool fw_zone_read_time(const fw_zone *zone, int64_t *out_ns, fw_span text)
{
    int year, month, day, hour = 0, minute = 0, second = 0;
    size_t at = 0;
    int64_t fraction_ns = 0, offset_s = 0, found[2];
    bool given = false;
    if (!digits(text, &at, 4, &year) || !one_of(text, &at, "-") || !digits(text, &at, 2, &month) ||
        !one_of(text, &at, "-") || !digits(text, &at, 2, &day))
        return false;
    if (at < text.len) {
        if (!one_of(text, &at, "Tt _") || !digits(text, &at, 2, &hour) || !one_of(text, &at, ":") ||
            !digits(text, &at, 2, &minute))
            return false;
        if (one_of(text, &at, ":") && !digits(text, &at, 2, &second))
            return false;
        if (one_of(text, &at, ".") && !read_fraction(text, &at, &fraction_ns))
            return false;
        if (!read_offset(text, &at, &given, &offset_s))
            return false;
    }
    if (at != text.len || year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 ||
        day > fw_days_in_month(year, month) || hour > 23 || minute > 59 || second > 59)
        return false;
    int64_t local_s = fw_days_of(year, month, day) * FW_DAY_S + hour * 3600 + minute * 60 + second;
    if (given)
        found[0] = local_s - offset_s;
    else if (fw_zone_find(zone, found, local_s) == 0)
        fraction_ns = 0;
    *out_ns = found[0] * FW_NS_PER_S + fraction_ns;
    return true;
}
