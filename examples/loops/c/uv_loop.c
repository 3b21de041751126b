/* A runtime in a loop of libuv. `cargo test -p selkie-loops` builds and runs it. */

#include <stdio.h>
#include <uv.h>

#include "selkie_loops.h"

static void on_timer(uv_timer_t *timer)
{
    sk_call(timer->data); /* A callback of libuv's spawns a task. */
    uv_close((uv_handle_t *)timer, NULL);
}

/* ---- */
static void on_readable(uv_poll_t *watch, int status, int events)
{
    (void)events;
    if (status != 0 || sk_turn(watch->data) != 0 || sk_is_over(watch->data))
        uv_close((uv_handle_t *)watch, NULL); /* The loop ends with its last handle. */
}

static int watch_runtime(uv_loop_t *loop, uv_poll_t *watch, sk_runtime *runtime)
{
    int error = uv_poll_init(loop, watch, sk_fd(runtime));
    watch->data = runtime;
    return error != 0 ? error : uv_poll_start(watch, UV_READABLE, on_readable);
}
/* ---- */

int main(void)
{
    sk_runtime *runtime = sk_open(1); /* Its descriptor tells of timers, too. */
    if (runtime == NULL)
        return 1;
    sk_start(runtime);
    uv_poll_t watch;
    uv_timer_t timer = {.data = runtime};
    int error = watch_runtime(uv_default_loop(), &watch, runtime);
    if (error == 0) {
        uv_timer_init(uv_default_loop(), &timer);
        uv_timer_start(&timer, on_timer, 10, 0);
        uv_run(uv_default_loop(), UV_RUN_DEFAULT);
        sk_report(runtime);
    }
    sk_close(runtime);
    return error != 0;
}
