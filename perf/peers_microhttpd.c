/* peers_microhttpd.c - libmicrohttpd that answers every GET with the bytes of a file, as a peer of
 * the dashboard's server.
 *
 *     peers_microhttpd FILE     prints its port; ends with its standard input
 *
 * One thread with epoll, as ours is. SPDX-License-Identifier: Apache-2.0 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum MHD_Result answer(void *body, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    static int begun;
    (void)url, (void)method, (void)version, (void)upload, (void)upload_size;
    if (!*state) { /* the first call is for the headers only */
        *state = &begun;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, body);
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

int main(int argc, char **argv)
{
    static char bytes[1 << 20];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        die("peers_microhttpd: FILE");
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    struct MHD_Response *body = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(body, "content-type", "application/json");
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
                                                 answer, body, MHD_OPTION_END);
    if (!daemon)
        die("peers_microhttpd: start");
    printf("%u\n", (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    char end;
    while (read(0, &end, 1) > 0)
        ;
    MHD_stop_daemon(daemon);
    MHD_destroy_response(body);
    return 0;
}
