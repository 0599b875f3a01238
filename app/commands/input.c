/* app/commands/input.c - see app/commands/input.h. SPDX-License-Identifier: Apache-2.0 */
#include "app/commands/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024 };

void fw_input_init(fw_input *input, int fd)
{
    *input = (fw_input){.fd = fd};
}

void fw_input_fini(fw_input *input)
{
    free(input->data);
    input->data = NULL;
}

bool fw_input_next(fw_input *input, fw_span *line)
{
    size_t have = input->end - input->at;
    if (have == 0)
        return false;
    const char *start = input->data + input->at;
    const char *end = memchr(start, '\n', have);
    if (end == NULL && !input->over)
        return false;
    size_t len = end == NULL ? have : (size_t)(end - start);
    input->at += len + (end != NULL);
    input->number++;
    if (len > 0 && start[len - 1] == '\r')
        len--;
    *line = (fw_span){start, len};
    return true;
}

/* Moves the unfinished line to the front and makes room behind it. */
static bool make_room(fw_input *input)
{
    size_t have = input->end - input->at;
    if (input->at > 0) {
        memmove(input->data, input->data + input->at, have);
        input->at = 0;
        input->end = have;
    }
    if (input->capacity - have >= READ_BYTES)
        return true;
    size_t capacity = input->capacity * 2 + READ_BYTES;
    char *data =
        capacity > 2 * (size_t)FW_LINE_MAX + 2 * READ_BYTES ? NULL : realloc(input->data, capacity);
    if (data == NULL) {
        errno = capacity > FW_LINE_MAX ? EMSGSIZE : ENOMEM;
        return false;
    }
    input->data = data;
    input->capacity = capacity;
    return true;
}

bool fw_input_fill(fw_input *input)
{
    if (!make_room(input))
        return false;
    ssize_t n = read(input->fd, input->data + input->end, input->capacity - input->end);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    input->end += (size_t)n;
    input->bytes += (uint64_t)n;
    input->over = n == 0;
    return true;
}
