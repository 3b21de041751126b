//! Many children at once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use selkie::sleep;

use crate::alone::{alone, threads};
use crate::util::{DEADLINE, run};
use crate::{assert_childless, shell};

const MANY: i32 = 200;

#[test]
fn two_hundred_children_run_at_once_on_one_thread() {
    alone(|| {
        run(async || {
            let threads_before = threads();
            let mut children: Vec<_> = (0..MANY)
                .map(|code| shell(&format!("read line; exit {code}")))
                .map(|mut command| command.stdin(std::process::Stdio::piped()).spawn().unwrap())
                .collect();
            // All of them run: none has ended.
            assert!(children.iter_mut().all(|child| child.try_wait().unwrap().is_none()));
            assert_eq!(threads(), threads_before);
            let ticking = selkie::spawn(async {
                let mut ticks = 0;
                loop {
                    sleep(Duration::from_millis(1)).await;
                    ticks += 1;
                    if ticks == 5 {
                        return Instant::now();
                    }
                }
            });
            let waiting = children.iter_mut().map(|child| async move {
                let status = child.wait().await.unwrap();
                status.code().unwrap()
            });
            let codes = join_all(waiting).await;
            assert!(codes.into_iter().eq(0..MANY));
            assert!(ticking.await.elapsed() < DEADLINE);
            assert_childless();
        });
    });
}

#[test]
fn the_outputs_of_many_children_are_gathered_at_once() {
    alone(|| {
        run(async || {
            let outputs = (0..MANY / 2).map(|i| async move {
                let output = shell(&format!("echo {i}; echo {i} >&2; exit {i}")).output().await;
                let output = output.unwrap();
                assert_eq!(output.status.code(), Some(i));
                assert_eq!(output.stdout, output.stderr);
                String::from_utf8(output.stdout).unwrap()
            });
            let outputs = join_all(outputs).await;
            assert!(outputs.into_iter().eq((0..MANY / 2).map(|i| format!("{i}\n"))));
        });
        assert_childless();
    });
}
