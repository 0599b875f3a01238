#!/bin/sh
# A worker that asks for its tasks over HTTP: curl and jq.
#
#     FASTWORKER_URL=http://127.0.0.1:8080 sh worker.sh
#
# SPDX-License-Identifier: Apache-2.0
url=${FASTWORKER_URL:-http://127.0.0.1:8080}/api/v1/worker
worker=sh-$(hostname)-$$

# post PATH JSON
post() {
    curl -sS --fail-with-body --max-time 90 -H 'content-type: application/json' \
        ${FASTWORKER_KEY:+-H "authorization: Bearer $FASTWORKER_KEY"} -d "$2" "$url/$1"
}

# run NAME ARGS: the result on standard output, or what went wrong and not 0.
run() {
    case $1 in
    sh.wc) printf %s "$2" | jq -j '.[0]' | wc -w ;;
    *) echo "no such task: $1" && return 1 ;;
    esac
}

while :; do
    answer=$(post poll "{\"worker\": \"$worker\", \"tasks\": [\"sh.wc\"], \"wait\": 20}") || exit
    printf %s "$answer" | jq -c '.tasks[]' | while read -r task; do
        lease=$(printf %s "$task" | jq -r .lease)
        name=$(printf %s "$task" | jq -r .name)
        if result=$(run "$name" "$(printf %s "$task" | jq -c .args)"); then
            post "$lease:complete" "{\"result\": $result}"
        else
            post "$lease:fail" "$(jq -n --arg error "$result" '{$error}')"
        fi >/dev/null
    done
done
