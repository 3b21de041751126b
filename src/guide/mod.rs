//! Pages that tell how things go together.
//!
//! To learn: [`steps`], then [`skins`]. To use it in a loop that you have: [`loops`], and the contract
//! behind that, [`embedding`]. To look inside, when a program [hangs](dead_lock), [stands still](blocked) or
//! has [late timers](starved). To look up: [`shutdown`], [`time`], [`simulation`], [`libraries`],
//! [`coming_from`], [`not_guaranteed`]. To change it: [`house`].

#[doc = include_str!("steps.md")]
pub mod steps {}

#[doc = include_str!("skins.md")]
pub mod skins {}

// A link that is defined twice is the first one: the picture itself here, its file in the repository.
#[doc = concat!("[loop]: ", include_str!("loop.uri"))]
#[doc = include_str!("embedding.md")]
pub mod embedding {}

// Its code needs the loops: examples/loops tests that its programs have these lines.
#[cfg_attr(not(doctest), doc = concat!("[loop]: ", include_str!("loop.uri")))]
#[cfg_attr(not(doctest), doc = include_str!("loops.md"))]
#[cfg_attr(not(doctest), doc = include_str!("loops_figures.md"))]
pub mod loops {}

// The programs of these three, and what they print, are tested in examples/apps.
#[cfg_attr(not(doctest), doc = include_str!("dead_lock.md"))]
pub mod dead_lock {}

#[cfg_attr(not(doctest), doc = concat!("[picture]: ", include_str!("blocked.uri")))]
#[cfg_attr(not(doctest), doc = include_str!("blocked.md"))]
pub mod blocked {}

#[cfg_attr(not(doctest), doc = include_str!("starved.md"))]
pub mod starved {}

#[doc = concat!("[shutdown]: ", include_str!("shutdown.uri"))]
#[doc = include_str!("shutdown.md")]
pub mod shutdown {}

#[doc = include_str!("time.md")]
pub mod time {}

// Its code needs the libraries: it is tested in examples/apps.
#[cfg_attr(not(doctest), doc = include_str!("libraries.md"))]
pub mod libraries {}

// Its code needs selkie-sim, where a test compares it with what runs.
#[cfg_attr(not(doctest), doc = include_str!("simulation.md"))]
pub mod simulation {}

#[doc = include_str!("coming_from.md")]
pub mod coming_from {}

#[doc = include_str!("not_guaranteed.md")]
pub mod not_guaranteed {}

#[doc = include_str!("house.md")]
pub mod house {}
