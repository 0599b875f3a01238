/* app/commands/workers.c - who works for a control plane, and who shall stop.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"
#include "base/json.h"

enum { TEXT_MAX = 256 };

/* --- asking --- */

/* Exit status; then *answer is an object without error, to be freed, or NULL. */
static int ask(fw_client *c, const fw_buffer *request, char **answer, fw_json *object)
{
    char text[TEXT_MAX];
    fw_span error;
    *answer = NULL;
    if (request->failed)
        return fw_ends_saying(-FW_ENOMEM, "out of memory");
    int rc = fw_manage(c, request->data, answer);
    if (rc < 0)
        return fw_ends_saying(rc, fw_client_errmsg());
    *object = fw_json_parse((fw_span){*answer, strlen(*answer)});
    fw_json wrong = fw_json_get(*object, "error");
    if (object->type != FW_JSON_OBJECT)
        return fw_ends_saying(-FW_EPROTO,
                              "an answer that is none; is that a Python control plane?");
    if (wrong.type == FW_JSON_INVALID)
        return FW_ENDS_WELL;
    if (!fw_json_string(wrong, text, sizeof text, &error))
        error = wrong.text;
    fprintf(stderr, "fastworker: %.*s\n", (int)error.len, error.ptr);
    fw_json code = fw_json_get(*object, "code");
    return code.text.len == 9 && memcmp(code.text.ptr, "\"unknown\"", 9) == 0 ? FW_ENDS_UNKNOWN
                                                                              : FW_ENDS_OTHERWISE;
}

/* --- the list --- */

static fw_span text_of(fw_json object, const char *key, char buffer[TEXT_MAX])
{
    fw_span text = {"?", 1};
    fw_json_string(fw_json_get(object, key), buffer, TEXT_MAX, &text);
    return text;
}

static long number_of(fw_json object, const char *key)
{
    double number = 0;
    fw_json_double(fw_json_get(object, key), &number);
    return (long)number;
}

static void print_worker(fw_json w)
{
    char id[TEXT_MAX], state[TEXT_MAX], address[TEXT_MAX], software[TEXT_MAX];
    fw_span texts[] = {text_of(w, "id", id), text_of(w, "state", state),
                       text_of(w, "software", software), text_of(w, "address", address)};
    printf("%-24.*s %-9.*s %5ld %7ld %11ld %7ld %6lds  %-18.*s %.*s\n", (int)texts[0].len,
           texts[0].ptr, (int)texts[1].len, texts[1].ptr, number_of(w, "slots"),
           number_of(w, "in_hand"), number_of(w, "ended"), number_of(w, "lost"),
           number_of(w, "seen_seconds"), (int)texts[2].len, texts[2].ptr, (int)texts[3].len,
           texts[3].ptr);
}

static void print_workers(fw_json object)
{
    fw_json list = fw_json_get(object, "workers"), worker;
    fw_json_cursor cursor = fw_json_open(list);
    if (fw_json_count(list) == 0) {
        printf("No subworkers. Start one: fastworker subworker --task-modules ./mytasks.so\n");
        return;
    }
    printf("%-24s %-9s %5s %7s %11s %7s %7s  %-18s %s\n", "ID", "STATE", "SLOTS", "IN HAND",
           "ENDED", "LOST", "SEEN", "SOFTWARE", "ADDRESS");
    while (fw_json_next(&cursor, &worker))
        print_worker(worker);
}

/* --- the commands --- */

/* Writes request from the words. False: the words are wrong, and it was said. */
typedef bool (*compose)(fw_options *options, fw_buffer *request);

static int run(fw_options *options, int argc, char **argv, compose compose_request,
               void (*print)(fw_json object))
{
    fw_parse parsed = fw_options_parse(options, argc, argv);
    if (parsed != FW_PARSE_GO)
        return parsed == FW_PARSE_HELPED ? FW_ENDS_WELL : FW_ENDS_USAGE;
    fw_client *c = NULL;
    fw_buffer request = {0};
    char *answer = NULL;
    fw_json object;
    int ends = compose_request(options, &request) ? 0 : FW_ENDS_USAGE;
    if (ends == 0)
        ends = fw_connect(&c, options, -1, 0);
    if (ends == 0)
        ends = ask(c, &request, &answer, &object);
    if (ends == 0 && fw_options_has(options, "json"))
        printf("%s\n", answer);
    else if (ends == 0)
        print(object);
    free(answer);
    fw_buffer_fini(&request);
    fw_client_close(c);
    fw_options_fini(options);
    return fw_ends(ends);
}

static bool compose_list(fw_options *options, fw_buffer *request)
{
    fw_buffer_add(request, "{\"action\": \"workers\"}", 22);
    return options->word_count == 0 || fw_options_wrong(options, "it takes no words.") == 0;
}

int fw_command_workers(int argc, char **argv)
{
    fw_option all[] = {
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    fw_options options = {.command = "workers",
                          .usage = "workers [options]",
                          .examples = "  fastworker workers\n",
                          .notes = "IN HAND: sent and not yet answered. LOST: taken back because "
                                   "the subworker went away.\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    return run(&options, argc, argv, compose_list, print_workers);
}

static bool compose_change(fw_options *options, fw_buffer *request, const char *action)
{
    if (options->word_count != 1) {
        fw_options_wrong(options, "it takes the id of one subworker.");
        return false;
    }
    const char *id = options->words[0];
    fw_buffer_format(request, "{\"action\": \"%s\", \"worker\": ", action);
    fw_buffer_json_string(request, (fw_span){id, strlen(id)});
    fw_buffer_add(request, "}", 2);
    return true;
}

static bool compose_drain(fw_options *options, fw_buffer *request)
{
    return compose_change(options, request, "drain");
}

static bool compose_resume(fw_options *options, fw_buffer *request)
{
    return compose_change(options, request, "resume");
}

static void print_change(fw_json object)
{
    char id[TEXT_MAX], state[TEXT_MAX];
    fw_span worker = text_of(object, "worker", id), now = text_of(object, "state", state);
    bool draining = now.len == 8 && memcmp(now.ptr, "draining", 8) == 0;
    printf("%.*s %s\n", (int)worker.len, worker.ptr,
           draining ? "takes nothing new; what it does not run comes back" : "takes tasks again");
}

static int change(int argc, char **argv, const char *command, const char *examples,
                  compose compose_request)
{
    char usage[64];
    fw_option all[] = {
        {.name = "json", .kind = FW_OPTION_FLAG, .meaning = "one JSON object"},
        FW_CONNECT_OPTIONS,
    };
    snprintf(usage, sizeof usage, "%s ID [options]", command);
    fw_options options = {.command = command,
                          .usage = usage,
                          .examples = examples,
                          .notes = "Exit status: 0 done, 4 no such subworker\n",
                          .all = all,
                          .count = sizeof(all) / sizeof(all[0])};
    return run(&options, argc, argv, compose_request, print_change);
}

int fw_command_drain(int argc, char **argv)
{
    return change(argc, argv, "drain", "  fastworker drain host-4711\n", compose_drain);
}

int fw_command_resume(int argc, char **argv)
{
    return change(argc, argv, "resume", "  fastworker resume host-4711\n", compose_resume);
}
