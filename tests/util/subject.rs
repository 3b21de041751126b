//! The back ends under test, and the macro that runs a test on each of them.

use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;

use selkie::Selector;
use selkie::selector::{Backend, BackendKind, EpollBackend, Open, PollBackend, SelectBackend};

use super::kinds;
use crate::liar;

/// A back end under test. Tests know it by this trait alone, so that they cannot depend on how
/// it was opened.
pub trait Subject: 'static {
    type Backend: Backend + Send + 'static;

    /// The module that [`on_every_back_end!`] makes for it.
    const NAME: &str;
    const KIND: BackendKind;

    fn try_open() -> io::Result<Self::Backend>;

    fn open() -> Self::Backend {
        Self::try_open().unwrap()
    }

    fn selector<S: AsFd, D>() -> Selector<S, D, Self::Backend> {
        Selector::with_backend(Self::open())
    }

    /// True for the back ends whose selector has a descriptor of its own.
    fn has_descriptor() -> bool {
        kinds::has_descriptor(Self::KIND)
    }

    /// True for the back ends that report `READ_CLOSED`, `WRITE_CLOSED` and `ERROR` at all:
    /// select(2) has no such thing.
    fn has_hints() -> bool {
        Self::KIND != BackendKind::Select
    }

    /// True for the back ends that report a half-close: select(2) cannot, and the `polling`
    /// crate does not ask for `EPOLLRDHUP`.
    fn has_half_close() -> bool {
        matches!(Self::KIND, BackendKind::Epoll | BackendKind::Poll)
    }

    /// True for the back ends that have edges on Linux.
    fn has_edges() -> bool {
        kinds::has_edges(Self::KIND)
    }
}

/// The same back end behind `Box<dyn Backend + Send>`, opened by its name. It lies if it has to,
/// see [`liar`], in ways that the selector hides.
pub struct Boxed<B>(PhantomData<B>);

macro_rules! subjects {
    ($($(#[$cfg:meta])? $kind:ident: $backend:ty, $name:literal, $boxed:literal;)*) => {
        /// What is under test here, to compare with what there is.
        pub const KINDS: &[BackendKind] = &[$($(#[$cfg])? BackendKind::$kind),*];

        $(
            $(#[$cfg])?
            impl Subject for $backend {
                type Backend = Self;
                const NAME: &str = $name;
                const KIND: BackendKind = BackendKind::$kind;

                fn try_open() -> io::Result<Self> {
                    Open::open()
                }
            }

            $(#[$cfg])?
            impl Subject for Boxed<$backend> {
                type Backend = Box<dyn Backend + Send>;
                const NAME: &str = $boxed;
                const KIND: BackendKind = BackendKind::$kind;

                fn try_open() -> io::Result<Self::Backend> {
                    liar::open_hidden(BackendKind::$kind)
                }
            }
        )*
    };
}

subjects! {
    Epoll: EpollBackend, "epoll", "boxed_epoll";
    Poll: PollBackend, "poll", "boxed_poll";
    Select: SelectBackend, "select", "boxed_select";
    #[cfg(feature = "polling")]
    Polling: selkie::selector::PollingBackend, "polling", "boxed_polling";
}

/// Makes a `#[test]` of each generic function `fn name<T: Subject>()`, for each subject. One
/// that is not listed is dead code, and thereby refused by the lints.
#[allow(unused_macros)] // Not every test binary runs over all of them.
macro_rules! on_every_back_end {
    ($($test:ident),* $(,)?) => {
        crate::util::on_every_back_end! { @[$($test)*]
            epoll: selkie::selector::EpollBackend;
            poll: selkie::selector::PollBackend;
            select: selkie::selector::SelectBackend;
            #[cfg(feature = "polling")]
            polling: selkie::selector::PollingBackend;
            boxed_epoll: crate::util::subject::Boxed<selkie::selector::EpollBackend>;
            boxed_poll: crate::util::subject::Boxed<selkie::selector::PollBackend>;
            boxed_select: crate::util::subject::Boxed<selkie::selector::SelectBackend>;
            #[cfg(feature = "polling")]
            boxed_polling: crate::util::subject::Boxed<selkie::selector::PollingBackend>;
        }
    };
    (@$tests:tt $($(#[$cfg:meta])? $module:ident: $subject:ty;)*) => {
        $(crate::util::on_every_back_end! { @module $tests $(#[$cfg])? $module $subject })*
    };
    (@module [$($test:ident)*] $(#[$cfg:meta])? $module:ident $subject:ty) => {
        $(#[$cfg])?
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test::<$subject>();
                }
            )*
        }
    };
}
pub(crate) use on_every_back_end;
