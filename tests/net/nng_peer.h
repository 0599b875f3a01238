/* tests/net/nng_peer.h - NNG's own sockets as peers, in a process of their own.
 *
 * NNG 1.5.2 can hang for ever when one of its sockets is closed while a message is on its way to
 * it, and takes down with it the thread that closes everybody's streams. So peers that hear without
 * being asked live in a child: the test program started again with the words of one of these calls.
 * The child writes what it hears to a pipe, each message with a NUL behind it, and is killed when
 * the test has heard enough. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_TESTS_NET_NNG_PEER_H
#define FW_TESTS_NET_NNG_PEER_H

#include <nng/nng.h>
#include <nng/protocol/bus0/bus.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pubsub0/sub.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "peers.h"

typedef struct nng_peer {
    pid_t child;
    FILE *heard;
} nng_peer;

/* protocol: "bus", "sub" (dial the port), "talkative-bus" (says something first), "pair" (listens;
 * the first thing heard is its address). */
static inline nng_peer nng_peer_start(const char *protocol, unsigned port)
{
    nng_peer peer;
    int ends[2];
    char name[] = "nng-peer", port_text[16];
    snprintf(port_text, sizeof port_text, "%u", port);
    char *words[] = {name, strdup(protocol), port_text, NULL};
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn(&peer.child, "/proc/self/exe", &actions, NULL, words, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    free(words[1]);
    close(ends[1]);
    peer.heard = fdopen(ends[0], "r");
    assert_non_null(peer.heard);
    return peer;
}

static inline void nng_peer_hear(nng_peer *peer, char *out, size_t capacity)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len = getdelim(&line, &room, 0, peer->heard);
    if (len <= 0)
        fail_msg("the NNG peer heard nothing in time");
    snprintf(out, capacity, "%s", line);
    free(line);
}

static inline void nng_peer_stop(nng_peer *peer)
{
    kill(peer->child, SIGKILL);
    waitpid(peer->child, NULL, 0);
    fclose(peer->heard);
}

static inline void nng_peer_say(const char *text, size_t len)
{
    if (fwrite(text, 1, len, stdout) != len || fputc(0, stdout) != 0 || fflush(stdout) != 0)
        _exit(3);
}

static inline int nng_peer_open(nng_socket *socket, const char *protocol, const char *port)
{
    char url[64];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%s", port);
    if (strcmp(protocol, "pair") == 0) {
        nng_listener listener;
        int bound;
        if (nng_pair0_open(socket) != 0 || nng_listen(*socket, url, &listener, 0) != 0 ||
            nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &bound) != 0)
            return -1;
        snprintf(url, sizeof url, "tcp://127.0.0.1:%d", bound);
        nng_peer_say(url, strlen(url));
        return 0;
    }
    bool sub = strcmp(protocol, "sub") == 0;
    if ((sub ? nng_sub0_open(socket) : nng_bus0_open(socket)) != 0)
        return -1;
    if (sub && nng_socket_set(*socket, NNG_OPT_SUB_SUBSCRIBE, "fw1/", 4) != 0)
        return -1;
    return nng_dial(*socket, url, NULL, 0);
}

/* What main does with words that nng_peer_start gave it; does not come back then. */
static inline void nng_peer_become(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[0], "nng-peer") != 0)
        return;
    nng_socket socket;
    nng_msg *message;
    if (nng_peer_open(&socket, argv[1], argv[2]) != 0)
        _exit(1);
    nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, PEER_WAIT_S * 1000);
    for (int i = 0; strcmp(argv[1], "talkative-bus") == 0 && i < 10; i++)
        if (nng_send(socket, argv[1], strlen(argv[1]), 0) != 0)
            _exit(4);
    while (nng_recvmsg(socket, &message, 0) == 0) {
        nng_peer_say(nng_msg_body(message), nng_msg_len(message));
        nng_msg_free(message);
    }
    _exit(2);
}

#endif
