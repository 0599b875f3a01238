/* tests/engine/schedule_probe.c - answers questions about zones and schedules, line by line, for
 * tests that know the answers otherwise (tests/interop/schedule_test.py).
 *
 *   zone NAME              ok, or the error; the zone of what follows
 *   offset UNIX            seconds
 *   change UNIX            Unix seconds, or never
 *   find LOCAL             count, then the moments
 *   cron STYLE N UNIX EXPR the next N moments, or the error
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/schedule.h"

static fw_zone *zone;

static void change_zone(const char *name)
{
    char error[256];
    fw_zone *next;
    if (fw_zone_load(&next, error, sizeof error, (fw_span){name, strlen(name)}) < 0) {
        puts(error);
        return;
    }
    fw_zone_free(zone);
    zone = next;
    puts("ok");
}

static void tell_cron(const char *text)
{
    char style[16], error[256];
    int count, skip;
    int64_t at_s;
    fw_schedule s;
    if (sscanf(text, "%15s %d %" SCNd64 " %n", style, &count, &at_s, &skip) < 3)
        exit(2);
    fw_span expression = {text + skip, strlen(text + skip)};
    if (fw_schedule_parse(&s, error, sizeof error, expression,
                          strcmp(style, "python") == 0 ? FW_CRON_PYTHON : FW_CRON_POSIX) < 0) {
        printf("error %s\n", error);
        return;
    }
    for (int i = 0; i < count; i++) {
        int64_t next_ns = fw_schedule_next(&s, zone, at_s * FW_NS_PER_S, 0);
        if (next_ns == FW_SCHEDULE_NEVER) {
            printf("never ");
            break;
        }
        at_s = next_ns / FW_NS_PER_S;
        printf("%" PRId64 " ", at_s);
    }
    puts("");
}

static void tell_find(int64_t local_s)
{
    int64_t found[2];
    int count = fw_zone_find(zone, found, local_s);
    printf("%d %" PRId64, count, found[0]);
    if (count == 2)
        printf(" %" PRId64, found[1]);
    puts("");
}

int main(void)
{
    char line[1024];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "zone ", 5) == 0)
            change_zone(line + 5);
        else if (strncmp(line, "cron ", 5) == 0)
            tell_cron(line + 5);
        else if (strncmp(line, "find ", 5) == 0)
            tell_find(strtoll(line + 5, NULL, 10));
        else if (strncmp(line, "offset ", 7) == 0)
            printf("%d\n", fw_zone_offset(zone, strtoll(line + 7, NULL, 10)));
        else if (strncmp(line, "change ", 7) == 0)
            printf("%" PRId64 "\n", fw_zone_next_change(zone, strtoll(line + 7, NULL, 10)));
        else
            return 2;
        fflush(stdout);
    }
    fw_zone_free(zone);
    return 0;
}
