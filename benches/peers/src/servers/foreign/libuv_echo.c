/* An echo server over libuv, as in the guide "Networking" of its documentation, but
 * uv_try_write first: uv_write alone costs an epoll_ctl per message. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define BUFFER (16 * 1024)

/* One thread, and a read is handled before the next: one buffer does. */
static char received[BUFFER];

static void must(int status, const char *what) {
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", what, uv_strerror(status));
        exit(1);
    }
}

static void on_close(uv_handle_t *handle) {
    free(handle);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(received, BUFFER);
}

static void on_written(uv_write_t *request, int status) {
    (void)status; /* A broken connection is closed when it is read. */
    free(request->data);
    free(request);
}

/* Queues what does not fit. */
static int write_later(uv_stream_t *client, const char *bytes, size_t len) {
    uv_write_t *request = malloc(sizeof *request);
    uv_buf_t unsent = uv_buf_init(malloc(len), (unsigned)len);
    memcpy(unsent.base, bytes, len);
    request->data = unsent.base;
    return uv_write(request, client, &unsent, 1, on_written);
}

static int echo(uv_stream_t *client, char *bytes, size_t len) {
    uv_buf_t all = uv_buf_init(bytes, (unsigned)len);
    int sent = uv_try_write(client, &all, 1);
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent < 0 || (size_t)sent == len)
        return sent;
    return write_later(client, bytes + sent, len - (size_t)sent);
}

static void on_read(uv_stream_t *client, ssize_t len, const uv_buf_t *buffer) {
    int status = len > 0 ? echo(client, buffer->base, (size_t)len) : (int)len;
    if (status < 0 && !uv_is_closing((uv_handle_t *)client))
        uv_close((uv_handle_t *)client, on_close);
}

static void on_connection(uv_stream_t *server, int status) {
    must(status, "listen");
    uv_tcp_t *client = malloc(sizeof *client);
    must(uv_tcp_init(server->loop, client), "uv_tcp_init");
    must(uv_accept(server, (uv_stream_t *)client), "accept");
    must(uv_tcp_nodelay(client, 1), "uv_tcp_nodelay");
    must(uv_read_start((uv_stream_t *)client, on_alloc, on_read), "uv_read_start");
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("libuv %s\n", uv_version_string());
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t server;
    struct sockaddr_in address;
    int len = sizeof address;
    must(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
    must(uv_tcp_init(loop, &server), "uv_tcp_init");
    must(uv_tcp_bind(&server, (const struct sockaddr *)&address, 0), "bind");
    must(uv_listen((uv_stream_t *)&server, 128, on_connection), "listen");
    must(uv_tcp_getsockname(&server, (struct sockaddr *)&address, &len), "getsockname");
    printf("%d %d\n", ntohs(address.sin_port), (int)getpid());
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
