#!/bin/sh
# A pool worker for FastWorker without anything but a shell: the id is cut out of the line, which
# begins with {"id": "...", and the answer is what a command of yours prints as JSON.
# SPDX-License-Identifier: Apache-2.0
while IFS= read -r line; do
    id=${line#*\"id\": \"}
    id=${id%%\"*}
    if result=$(printf '%s\n' "$line" | "$@"); then
        printf '{"id": "%s", "ok": %s}\n' "$id" "$result"
    else
        printf '{"id": "%s", "error": "exit status %s"}\n' "$id" "$?"
    fi
done
