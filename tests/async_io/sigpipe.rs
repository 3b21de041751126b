//! Rust ignores SIGPIPE when a program starts, but a plug-in's host may not: these tests run in
//! processes that die of it.

use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::io::AsyncWriteExt;
use rustix::event::PollFlags;
use selkie::Async;
use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;
use socket2::{Domain, Socket, Type};

use crate::child::{self, role};
use crate::util::{Pair, child, pairs, run, wait_in_kernel};

/// From here on SIGPIPE does what it does by default.
fn restore_sigpipe() {
    register_conditional_default(SIGPIPE, Arc::new(AtomicBool::new(true))).unwrap();
}

#[test]
fn a_write_to_a_peer_that_is_gone_is_an_error_and_no_signal() {
    const NAME: &str = "sigpipe::a_write_to_a_peer_that_is_gone_is_an_error_and_no_signal";
    if role().is_none() {
        child::run(&mut child(NAME, "write"));
        return;
    }
    restore_sigpipe();
    run(async || {
        let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        let near = Box::new(Async::new(near).unwrap());
        let bare = Pair { name: "a bare socket", near, far };
        for mut pair in pairs().into_iter().chain([bare]) {
            drop(pair.far);
            wait_in_kernel(&pair.near, PollFlags::RDHUP);
            // Over TCP the first write makes the peer answer with a reset.
            let _ = pair.near.write(b"x").await;
            wait_in_kernel(&pair.near, PollFlags::HUP);
            let bufs = [IoSlice::new(b"one"), IoSlice::new(b"other")];
            for _ in 0..3 {
                let error = pair.near.write(b"x").await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{}", pair.name);
                let error = pair.near.write_vectored(&bufs).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{}, vectored", pair.name);
            }
        }
        for mut pair in pairs() {
            pair.near.close().await.unwrap();
            let bufs = [IoSlice::new(b"one"), IoSlice::new(b"other")];
            let error = pair.near.write_vectored(&bufs).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{}, closed", pair.name);
        }
    });
}

#[test]
fn a_write_without_our_care_does_raise_the_signal() {
    const NAME: &str = "sigpipe::a_write_without_our_care_does_raise_the_signal";
    if role().is_none() {
        let output = child(NAME, "die").output().unwrap();
        assert_eq!(output.status.signal(), Some(SIGPIPE), "{output:?}");
        return;
    }
    restore_sigpipe();
    run(async || {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let near = Async::new(near).unwrap();
        far.shutdown(Shutdown::Both).unwrap();
        let _ = near.write_with(|io| Ok(rustix::io::write(io, b"x")?)).await;
    });
}
