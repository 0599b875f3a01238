/* app/settings/config_sections_report.c - the sections and their tables as people and documents see
 * them. Covered by config_sections_test.c. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "app/settings/section_table.h"
#include "base/json.h"

enum { VALUE_MAX = 64 << 10 };

static const fw_section_head *head_at(const fw_sections *sections, size_t kind, size_t place)
{
    return kind == FW_SECTION_TASK ? &sections->tasks[place]->head
                                   : &sections->schedules[place]->head;
}

static void show_keys(const fw_section_kind *kind, const fw_section_head *head, char *value,
                      fw_buffer *out, bool json)
{
    bool any = false;
    for (size_t i = 0; i < kind->key_count; i++) {
        const fw_setting *key = &kind->keys[i];
        if ((head->given >> i & 1) == 0)
            continue;
        value[0] = '\0';
        key->kind->print(key, (const char *)head + key->offset, value, VALUE_MAX);
        if (json) {
            fw_buffer_format(out, "%s\"%s\": ", any ? ", " : "", key->name);
            fw_buffer_json_string(out, (fw_span){value, strlen(value)});
        } else {
            fw_buffer_format(out, "%s = ", key->name);
            fw_buffer_text(out, value);
            fw_buffer_text(out, "\n");
        }
        any = true;
    }
}

static void show_kind(const fw_sections *sections, size_t place, char *value, fw_buffer *out,
                      bool json)
{
    const fw_section_kind *kind = &fw_section_kinds[place];
    size_t count = place == FW_SECTION_TASK ? sections->task_count : sections->schedule_count;
    if (json)
        fw_buffer_format(out, "%s\"%s\": {", place ? ", " : "", kind->word);
    for (size_t i = 0; i < count; i++) {
        const fw_section_head *head = head_at(sections, place, i);
        fw_span name = {head->name, strlen(head->name)};
        if (json) {
            fw_buffer_text(out, i ? ", " : "");
            fw_buffer_json_string(out, name);
            fw_buffer_text(out, ": {");
        } else {
            fw_buffer_format(out, "\n[%s ", kind->word);
            fw_buffer_json_string(out, name);
            fw_buffer_format(out, "]  ; %s:%u\n", head->path, head->line);
        }
        show_keys(kind, head, value, out, json);
        fw_buffer_text(out, json ? "}" : "");
    }
    fw_buffer_text(out, json ? "}" : "");
}

void fw_sections_show(const fw_sections *sections, FILE *out, bool json)
{
    fw_buffer text = {0};
    char *value = malloc(VALUE_MAX);
    fw_buffer_text(&text, json ? "{" : "");
    for (size_t kind = 0; value && kind < fw_section_kind_count; kind++)
        show_kind(sections, kind, value, &text, json);
    fw_buffer_text(&text, json ? "}" : "");
    if (!text.failed && text.len > 0)
        fwrite(text.data, 1, text.len, out);
    fw_buffer_fini(&text);
    free(value);
}

void fw_sections_document(FILE *out)
{
    for (size_t kind = 0; kind < fw_section_kind_count; kind++) {
        const fw_section_kind *k = &fw_section_kinds[kind];
        fprintf(out,
                "\n## [%s \"NAME\"]\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n",
                k->word);
        for (size_t i = 0; i < k->key_count; i++) {
            const fw_setting *key = &k->keys[i];
            fprintf(out, "| `%s` | %s | %s | %s |\n", key->name,
                    key->initial ? key->initial : "none", key->allowed, key->meaning);
        }
    }
}

void fw_sections_dump_default(FILE *out)
{
    for (size_t kind = 0; kind < fw_section_kind_count; kind++) {
        const fw_section_kind *k = &fw_section_kinds[kind];
        fprintf(out, "\n# [%s \"%s\"]\n", k->word, k->example);
        for (size_t i = 0; i < k->key_count; i++) {
            const fw_setting *key = &k->keys[i];
            fprintf(out, "#   %s = %-16s ; %s\n", key->name, key->initial ? key->initial : "",
                    key->meaning);
        }
    }
}
