/* A plain poll(2) loop, as nginx has one: descriptors, and timers of its own that it counts in
 * milliseconds. `cargo test -p selkie-loops` builds and runs it. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "selkie_loops.h"

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* The loop's own timers: here a single one. When it is due, a callback spawns a task. */
static long long own_timer;

static int own_timeout_ms(void)
{
    long long left = own_timer - now_ms();
    return own_timer == 0 ? -1 : left < 0 ? 0 : (int)left;
}

static void run_own_timers(const sk_runtime *runtime)
{
    if (own_timer != 0 && own_timer <= now_ms()) {
        own_timer = 0;
        sk_call(runtime);
    }
}

/* ---- */
/* How long the loop may sleep: the shorter of two timeouts, where -1 is for ever. */
static int shorter(int one, int other)
{
    return one < 0 || (other >= 0 && other < one) ? other : one;
}

static int serve(sk_runtime *runtime)
{
    struct pollfd fds[] = {{.fd = sk_fd(runtime), .events = POLLIN} /* , and your own */};
    int error = 0;
    while (error == 0 && !sk_is_over(runtime)) {
        int timeout = shorter(own_timeout_ms(), sk_timeout_ms(runtime));
        if (poll(fds, sizeof fds / sizeof *fds, timeout) < 0 && errno != EINTR)
            return errno;
        run_own_timers(runtime);
        error = sk_turn(runtime);
    }
    return error;
}
/* ---- */

int main(void)
{
    sk_runtime *runtime = sk_open(0);
    if (runtime == NULL)
        return 1;
    sk_start(runtime);
    own_timer = now_ms() + 10;
    int error = serve(runtime);
    if (error == 0)
        sk_report(runtime);
    sk_close(runtime);
    return error != 0;
}
