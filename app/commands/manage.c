/* app/commands/manage.c - see app/commands/manage.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/manage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands/commands.h"
#include "app/commands/connect.h"

/* Exit status; then *answer is an object without error, to be freed, or NULL. */
static int ask(fw_client *c, const fw_buffer *request, char **answer, fw_json *object)
{
    char text[FW_MANAGE_TEXT_MAX];
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

fw_span fw_manage_text(fw_json object, const char *key, char buffer[FW_MANAGE_TEXT_MAX])
{
    fw_span text = {"?", 1};
    fw_json_string(fw_json_get(object, key), buffer, FW_MANAGE_TEXT_MAX, &text);
    return text;
}

long fw_manage_number(fw_json object, const char *key)
{
    double number = 0;
    fw_json_double(fw_json_get(object, key), &number);
    return (long)number;
}

int fw_manage_run(fw_options *options, int argc, char **argv, fw_manage_compose *compose_request,
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
    /* Some of those that were meant are not there. */
    if (ends == 0 && fw_json_count(fw_json_get(object, "unknown")) > 0)
        ends = FW_ENDS_UNKNOWN;
    free(answer);
    fw_buffer_fini(&request);
    fw_client_close(c);
    fw_options_fini(options);
    return fw_ends(ends);
}
