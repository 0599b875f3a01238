/* engine/arguments.c - fw_args: binds JSON arguments to C variables as Python binds them to
 * parameters.
 *
 * Four steps, each with Python's messages and in Python's order: collect the signature from the
 * format, take positional ones, take keywords, look for missing ones. Then values are converted,
 * all of them before the first is stored: on failure no variable has changed. Nothing is allocated
 * except for strings, which need a NUL. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/assert.h"
#include "engine/call.h"

enum {
    PARAMETERS_MAX = 32,
    SHOWN_MAX = 120 /* bytes of a peer's keyword that go into a message */
};

typedef struct parameter {
    const char *name;
    void *target;
    char letter;
    bool positional;
    fw_json value; /* INVALID: not given */
    union {
        int64_t i;
        double d;
        int b;
        const char *s;
        fw_span j;
    } converted;
} parameter;

typedef struct signature {
    fw_call *call;
    size_t count, required; /* parameters, and those before the '|' */
    size_t given;           /* positional arguments in the call, too many included */
    parameter parameters[PARAMETERS_MAX];
} signature;

#define MESSAGE(call, ...)                                                                         \
    (fw_buffer_format(fw_call_error_begin(call), __VA_ARGS__), fw_call_error_end(call))

/* A mistake of the module's author, not of the caller. */
static int bad_format(fw_call *call, const char *format)
{
    return MESSAGE(call, "%s(): its fw_args format '%s' is wrong: i d b s j, one |, at most %d",
                   fw_call_name(call), format, PARAMETERS_MAX);
}

static bool is_letter(char c)
{
    switch (c) {
    case 'i':
    case 'd':
    case 'b':
    case 's':
    case 'j':
        return true;
    default:
        return false;
    }
}

static int collect(signature *s, const char *format, va_list arguments)
{
    bool optional = false;
    for (const char *at = format; *at; at++) {
        if (*at == '|' && !optional) {
            optional = true;
            continue;
        }
        if (FW_UNLIKELY(!is_letter(*at) || s->count == PARAMETERS_MAX))
            return bad_format(s->call, format);
        parameter *p = &s->parameters[s->count++];
        s->required += !optional;
        p->letter = *at;
        p->name = va_arg(arguments, const char *);
        p->target = va_arg(arguments, void *);
        FW_ASSERT(p->name && p->target);
        p->positional = false;
        p->value.type = FW_JSON_INVALID;
    }
    return 0;
}

static void take_positional(signature *s, fw_span args)
{
    fw_json value;
    fw_json_cursor cursor = fw_json_open((fw_json){FW_JSON_ARRAY, args});
    while (fw_json_next(&cursor, &value)) {
        if (s->given < s->count) {
            s->parameters[s->given].value = value;
            s->parameters[s->given].positional = true;
        }
        s->given++;
    }
}

/* A member's key as text: itself, or unescaped into the arena. */
static bool key_text(fw_call *call, fw_span *key)
{
    if (key->len == 0 || !memchr(key->ptr, '\\', key->len))
        return true;
    fw_json quoted = {FW_JSON_STRING, {key->ptr - 1, key->len + 2}};
    char *room = fw_arena_alloc(&call->thread->arena, quoted.text.len);
    return room && fw_json_string(quoted, room, quoted.text.len, key);
}

static parameter *find_parameter(signature *s, fw_span key)
{
    for (size_t i = 0; i < s->count; i++) {
        parameter *p = &s->parameters[i];
        if (strlen(p->name) == key.len && memcmp(p->name, key.ptr, key.len) == 0)
            return p;
    }
    return NULL;
}

static int unexpected_keyword(fw_call *call, fw_span key)
{
    size_t shown = key.len;
    if (shown > SHOWN_MAX) {
        shown = SHOWN_MAX;
        while (shown > 0 && ((unsigned char)key.ptr[shown] & 0xc0) == 0x80)
            shown--;
    }
    return MESSAGE(call, "%s() got an unexpected keyword argument '%.*s%s'", fw_call_name(call),
                   (int)shown, key.ptr, shown < key.len ? "..." : "");
}

static int take_keywords(signature *s, fw_span kwargs)
{
    fw_span key;
    fw_json value;
    fw_json_cursor cursor = fw_json_open((fw_json){FW_JSON_OBJECT, kwargs});
    while (fw_json_next_member(&cursor, &key, &value)) {
        if (!key_text(s->call, &key))
            return MESSAGE(s->call, "out of memory");
        parameter *p = find_parameter(s, key);
        if (!p)
            return unexpected_keyword(s->call, key);
        if (p->positional)
            return MESSAGE(s->call, "%s() got multiple values for argument '%s'",
                           fw_call_name(s->call), p->name);
        p->value = value;
    }
    return 0;
}

static int too_many(signature *s)
{
    const char *name = fw_call_name(s->call);
    const char *were = s->given == 1 ? "was" : "were";
    if (s->required < s->count)
        return MESSAGE(s->call, "%s() takes from %zu to %zu positional arguments but %zu %s given",
                       name, s->required, s->count, s->given, were);
    return MESSAGE(s->call, "%s() takes %zu positional argument%s but %zu %s given", name, s->count,
                   s->count == 1 ? "" : "s", s->given, were);
}

/* "'x'", "'x' and 'y'", "'x', 'y', and 'z'": Python's way. */
static int missing(signature *s, size_t count)
{
    fw_buffer *text = fw_call_error_begin(s->call);
    fw_buffer_format(text,
                     "%s() missing %zu required positional argument%s: ", fw_call_name(s->call),
                     count, count == 1 ? "" : "s");
    size_t left = count;
    for (size_t i = 0; i < s->required; i++) {
        if (s->parameters[i].value.type != FW_JSON_INVALID)
            continue;
        left--;
        fw_buffer_format(text, "'%s'", s->parameters[i].name);
        if (left > 0 && count > 2)
            fw_buffer_text(text, ",");
        if (left > 0)
            fw_buffer_text(text, left == 1 ? " and " : " ");
    }
    return fw_call_error_end(s->call);
}

static int bind(signature *s)
{
    take_positional(s, fw_args_json(s->call));
    if (s->call->input->kwargs.len > 2) {
        int rc = take_keywords(s, s->call->input->kwargs);
        if (rc < 0)
            return rc;
    }
    if (FW_UNLIKELY(s->given > s->count))
        return too_many(s);
    size_t lacking = 0;
    for (size_t i = s->given; i < s->required; i++)
        lacking += s->parameters[i].value.type == FW_JSON_INVALID;
    return FW_UNLIKELY(lacking > 0) ? missing(s, lacking) : 0;
}

static bool is_integer_text(fw_span text)
{
    for (size_t i = text.ptr[0] == '-'; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return true;
}

static const char *python_type(fw_json value)
{
    switch (value.type) {
    case FW_JSON_NULL:
        return "None";
    case FW_JSON_TRUE:
    case FW_JSON_FALSE:
        return "bool";
    case FW_JSON_NUMBER:
        return is_integer_text(value.text) ? "int" : "float";
    case FW_JSON_STRING:
        return "str";
    case FW_JSON_ARRAY:
        return "list";
    case FW_JSON_OBJECT:
        return "dict";
    case FW_JSON_INVALID:
        break;
    }
    return "nothing";
}

static int wrong_type(fw_call *call, const parameter *p, const char *wanted)
{
    return MESSAGE(call, "%s() argument '%s' must be %s, not %s", fw_call_name(call), p->name,
                   wanted, python_type(p->value));
}

/* A bool is an int in Python. */
static int convert_int(fw_call *call, parameter *p)
{
    if (FW_LIKELY(fw_json_int(p->value, &p->converted.i)))
        return 0;
    if (p->value.type == FW_JSON_TRUE || p->value.type == FW_JSON_FALSE) {
        p->converted.i = p->value.type == FW_JSON_TRUE;
        return 0;
    }
    if (p->value.type == FW_JSON_NUMBER && is_integer_text(p->value.text))
        return MESSAGE(call, "%s() argument '%s' does not fit into 64 bits", fw_call_name(call),
                       p->name);
    return wrong_type(call, p, "int");
}

static int convert_double(fw_call *call, parameter *p)
{
    if (p->value.type == FW_JSON_TRUE || p->value.type == FW_JSON_FALSE) {
        p->converted.d = p->value.type == FW_JSON_TRUE;
        return 0;
    }
    if (!fw_json_double(p->value, &p->converted.d))
        return wrong_type(call, p, "float");
    if (FW_UNLIKELY(isinf(p->converted.d)) && is_integer_text(p->value.text))
        return MESSAGE(call, "%s() argument '%s' is too large for a float", fw_call_name(call),
                       p->name);
    return 0;
}

static int convert_bool(fw_call *call, parameter *p)
{
    bool value;
    if (!fw_json_bool(p->value, &value))
        return wrong_type(call, p, "bool");
    p->converted.b = value;
    return 0;
}

static int convert_string(fw_call *call, parameter *p)
{
    if (p->value.type != FW_JSON_STRING)
        return wrong_type(call, p, "str");
    fw_span text;
    char *room = fw_arena_alloc(&call->thread->arena, p->value.text.len + 1);
    if (!room || !fw_json_string(p->value, room, p->value.text.len, &text))
        return MESSAGE(call, "out of memory");
    if (text.len > 0 && memchr(text.ptr, '\0', text.len))
        return MESSAGE(call, "%s() argument '%s' must not contain null characters",
                       fw_call_name(call), p->name);
    if (text.ptr != room)
        memcpy(room, text.ptr, text.len);
    room[text.len] = '\0';
    p->converted.s = room;
    return 0;
}

static int convert(fw_call *call, parameter *p)
{
    switch (p->letter) {
    case 'i':
        return convert_int(call, p);
    case 'd':
        return convert_double(call, p);
    case 'b':
        return convert_bool(call, p);
    case 's':
        return convert_string(call, p);
    default:
        FW_ASSERT(p->letter == 'j');
        p->converted.j = p->value.text;
        return 0;
    }
}

static void store(const parameter *p)
{
    switch (p->letter) {
    case 'i':
        *(int64_t *)p->target = p->converted.i;
        break;
    case 'd':
        *(double *)p->target = p->converted.d;
        break;
    case 'b':
        *(int *)p->target = p->converted.b;
        break;
    case 's':
        *(const char **)p->target = p->converted.s;
        break;
    default:
        *(fw_span *)p->target = p->converted.j;
    }
}

int fw_args(fw_call *c, const char *format, ...)
{
    signature s;
    s.call = c;
    s.count = s.required = s.given = 0;
    va_list arguments;
    va_start(arguments, format);
    int rc = collect(&s, format, arguments);
    va_end(arguments);
    if (rc == 0)
        rc = bind(&s);
    for (size_t i = 0; i < s.count && rc == 0; i++) {
        if (s.parameters[i].value.type != FW_JSON_INVALID)
            rc = convert(c, &s.parameters[i]);
    }
    if (FW_UNLIKELY(rc < 0))
        return rc;
    for (size_t i = 0; i < s.count; i++) {
        if (s.parameters[i].value.type != FW_JSON_INVALID)
            store(&s.parameters[i]);
    }
    return 0;
}
