#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(windows)]
compile_error!(
    "selkie has not been tested on Windows and does not build there: \
     use it on a Unix (Linux is tested), or help us to add and test a back end"
);

mod interest;
pub mod selector;

pub use interest::{Interest, Readiness};
pub use selector::{
    DefaultSelector, Events, Key, Mode, Notifier, PollingSelector, RegisterError, Selector,
    SelectorKey,
};
#[cfg(target_os = "linux")]
pub use selector::{EpollSelector, PollSelector, SelectSelector};
