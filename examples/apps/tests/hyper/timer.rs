//! hyper's clock.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use hyper::rt::Timer as _;
use selkie::hyper::Timer;

use crate::run;

#[test]
fn sleeps_last_as_long_as_was_said_and_can_be_set_anew() {
    run(async {
        let start = Instant::now();
        Timer.sleep(Duration::from_millis(10)).await;
        assert!(start.elapsed() >= Duration::from_millis(10));
        Timer.sleep_until(start + Duration::from_millis(20)).await;
        assert!(start.elapsed() >= Duration::from_millis(20));

        let mut sleep = Timer.sleep(Duration::from_secs(3600));
        poll_fn(|cx| std::task::Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await;
        let place = &raw const *sleep;
        Timer.reset(&mut sleep, start + Duration::from_millis(30));
        assert!(std::ptr::addr_eq(place, &raw const *sleep), "in the memory that is there");
        sleep.await;
        assert!(start.elapsed() >= Duration::from_millis(30));
        Timer.sleep_until(start).await;
    });
}

#[test]
fn a_sleep_may_be_dropped_on_another_thread_and_not_polled_there() {
    run(async {
        let sleeps = [(); 2].map(|()| Timer.sleep(Duration::from_secs(3600)));
        let [mut polled, dropped] = sleeps;
        thread::spawn(move || {
            drop(dropped);
            let mut cx = Context::from_waker(Waker::noop());
            let poll = AssertUnwindSafe(|| polled.as_mut().poll(&mut cx).is_pending());
            catch_unwind(poll).expect_err("it is of another thread");
        })
        .join()
        .unwrap();
    });
}
