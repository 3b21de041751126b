/* A runtime of selkie for loops in C. Used on the thread that has opened it. */
#ifndef SELKIE_LOOPS_H
#define SELKIE_LOOPS_H

typedef struct sk_runtime sk_runtime;

/* Opens a runtime. With `timer_fd`, its descriptor tells of timers too, and sk_timeout_* need not
 * be asked. NULL if the system has no descriptors to spare. */
sk_runtime *sk_open(int timer_fd);
/* The descriptor to watch for reading, by level. */
int sk_fd(const sk_runtime *);
/* How long the loop may sleep: -1 is for ever. Milliseconds are rounded up. */
int sk_timeout_ms(const sk_runtime *);
long long sk_timeout_ns(const sk_runtime *);
/* Takes a turn, which does not block. 0, or an errno. */
int sk_turn(const sk_runtime *);
/* Drops the runtime and its tasks. Stop watching the descriptor first. */
void sk_close(sk_runtime *);

/* The work of the example: begins; spawns a task, from a callback of the loop; is over; says what
 * was done. */
void sk_start(const sk_runtime *);
void sk_call(const sk_runtime *);
int sk_is_over(const sk_runtime *);
void sk_report(const sk_runtime *);

#endif
