//! Another world than the system, for a thread or a runtime: another clock, another network.
//!
//! A program asks the system for three things: what time it is, what is ready, and for sockets. All
//! three can come from a [`World`] of your own, and the program need not know: [`install`] makes it
//! that of the thread, [`Builder::build_in`](crate::Builder::build_in) that of one runtime. The
//! crate `selkie-sim` has a world of simulated hosts in virtual time.
//!
//! ```
//! use std::cell::Cell;
//! use std::io;
//! use std::rc::Rc;
//! use std::time::{Duration, Instant};
//!
//! use selkie::world::{World, install};
//!
//! /// Its clock stands still, unless somebody sets it.
//! struct Still(Cell<Instant>);
//!
//! impl World for Still {
//!     fn now(&self) -> Instant {
//!         self.0.get()
//!     }
//! }
//!
//! let still = Rc::new(Still(Cell::new(Instant::now())));
//! let installed = install(Rc::clone(&still) as Rc<dyn World>);
//! let before = selkie::time::now();
//! still.0.set(before + Duration::from_secs(3600));
//! assert_eq!(selkie::time::now() - before, Duration::from_secs(3600));
//! drop(installed);
//! ```
//!
//! A world whose clock is not the system's opens back ends of its own, too, which wait by that
//! clock: see [`World::open`], [`Backend::now`](crate::selector::Backend::now) and
//! [`Until`](crate::selector::Until).

// The top: what users see of `selector/world`, which is below all that asks it.

pub use crate::selector::world::{Installed, Instead, Jobs, Taking, Whose, World, install};
