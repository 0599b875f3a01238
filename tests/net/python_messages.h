/* python_messages.h - recorded from FastWorker 0.3.0 in the time zone Europe/Berlin.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NET_PYTHON_MESSAGES_H
#define TESTS_NET_PYTHON_MESSAGES_H

/* 2026-01-02 03:04:05.000600 and 2026-07-02 03:04:05 there. */
#define WINTER_NS INT64_C(1767319445000600000)
#define SUMMER_NS INT64_C(1782954245000000000)

#define PYTHON_PLAIN_TASK                                                                          \
    "{\"id\": \"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d\", \"name\": \"add\", \"args\": [5, "         \
    "3], \"kwargs\": {}, \"priority\": \"normal\", \"created_at\": \"2026-01-02 03:04:05."         \
    "000600\", \"started_at\": null, \"completed_at\": null, \"status\": \"pending\", \"r"         \
    "esult\": null, \"error\": null, \"callback\": null, \"retry_count\": 0, \"max_retrie"         \
    "s\": 0, \"retry_delay\": 60.0, \"retry_backoff\": 2.0, \"retry_backoff_max\": 3600.0"         \
    ", \"timeout\": null, \"eta\": null, \"assigned_worker\": null}"
#define PYTHON_RICH_TASK                                                                           \
    "{\"id\": \"job-7\", \"name\": \"gr\\u00fc\\u00dfe \\\"x\\\"\", \"args\": [1208925819"         \
    "614629174706176, 1e+308, NaN, Infinity, \"\\ud800\", \"\\ud83d\\ude00\", [null, true"         \
    ", {}]], \"kwargs\": {\"b\": {\"c\": [1]}}, \"priority\": \"critical\", \"created_at"          \
    "\": \"2026-07-02 03:04:05\", \"started_at\": null, \"completed_at\": null, \"status"          \
    "\": \"pending\", \"result\": null, \"error\": null, \"callback\": {\"address\": \"tc"         \
    "p://127.0.0.1:6000\", \"data\": {\"k\": \"v\"}}, \"retry_count\": 0, \"max_retries\""         \
    ": 3, \"retry_delay\": 0.5, \"retry_backoff\": 1.5, \"retry_backoff_max\": 3600.0, \""         \
    "timeout\": 2.5, \"eta\": \"2026-01-02 03:04:05.000600\", \"assigned_worker\": null}"
#define PYTHON_BATCH                                                                               \
    "{\"action\": \"batch_submit\", \"tasks\": [{\"id\": \"a\", \"name\": \"x\", \"args\""         \
    ": [], \"kwargs\": {}, \"priority\": \"normal\", \"created_at\": \"2026-01-02 03:04:0"         \
    "5.000600\", \"started_at\": null, \"completed_at\": null, \"status\": \"pending\", "          \
    "\"result\": null, \"error\": null, \"callback\": null, \"retry_count\": 0, \"max_ret"         \
    "ries\": 0, \"retry_delay\": 60.0, \"retry_backoff\": 2.0, \"retry_backoff_max\": 360"         \
    "0.0, \"timeout\": null, \"eta\": null, \"assigned_worker\": null}, {\"id\": \"b\", "          \
    "\"name\": \"y\", \"args\": [], \"kwargs\": {}, \"priority\": \"low\", \"created_at\""         \
    ": \"2026-01-02 03:04:05.000600\", \"started_at\": null, \"completed_at\": null, \"st"         \
    "atus\": \"pending\", \"result\": null, \"error\": null, \"callback\": null, \"retry_"         \
    "count\": 0, \"max_retries\": 0, \"retry_delay\": 60.0, \"retry_backoff\": 2.0, \"ret"         \
    "ry_backoff_max\": 3600.0, \"timeout\": null, \"eta\": null, \"assigned_worker\": nul"         \
    "l}]}"
#define PYTHON_SUCCESS                                                                             \
    "{\"task_id\": \"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d\", \"status\": \"success\", \"r"         \
    "esult\": 8, \"error\": null, \"started_at\": \"2026-01-02 03:04:05.000600\", \"compl"         \
    "eted_at\": \"2026-07-02 03:04:05\", \"callback\": null}"
#define PYTHON_FAILURE                                                                             \
    "{\"task_id\": \"j\\u00f6b\", \"status\": \"failure\", \"result\": null, \"error\": "          \
    "\"boom \\\"\\n\\\" \\u00e9\", \"started_at\": null, \"completed_at\": \"2026-01-02 0"         \
    "3:04:05.000600\", \"callback\": null}"
#define PYTHON_CANCELLED                                                                           \
    "{\"task_id\": \"c\", \"status\": \"cancelled\", \"result\": null, \"error\": \"\", "          \
    "\"started_at\": null, \"completed_at\": null, \"callback\": {\"address\": \"tcp://h:"         \
    "1\", \"data\": null}}"
#define PYTHON_FOUND                                                                               \
    "{\"found\": true, \"result\": {\"task_id\": \"q\", \"status\": \"success\", \"result"         \
    "\": {\"a\": [1.5, null]}, \"error\": null, \"started_at\": \"2026-01-02 03:04:05.000"         \
    "600\", \"completed_at\": \"2026-01-02 03:04:05.000600\", \"callback\": null}}"
#define PYTHON_NOT_FOUND                                                                           \
    "{\"found\": false, \"error\": \"Task q not found in "                                         \
    "cache or expired\"}"
#define PYTHON_BATCH_ACCEPTED "{\"batch_accepted\": true, \"task_ids\": [\"a\", \"b\"]}"
#define PYTHON_CANCEL_ANSWER  "{\"cancelled\": true, \"task_id\": \"q\"}"
#define PYTHON_REGISTERED     "{\"status\": \"registered\", \"subworker_id\": \"sw1\"}"
#define PYTHON_CALLBACK_NOTICE                                                                     \
    "{\"task_id\": \"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d\", \"status\": \"success\", \"r"         \
    "esult\": 8, \"error\": null, \"started_at\": \"2026-01-02T03:04:05.000600\", \"compl"         \
    "eted_at\": \"2026-07-02T03:04:05\", \"callback_data\": {\"k\": \"v\"}}"

#endif
