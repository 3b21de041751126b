//! What the guide's page on libraries claims: which of them bring threads.

#[path = "../../../../tests/util/alone.rs"]
mod alone;
#[path = "../../../../tests/util/child.rs"]
mod child;

mod threads;
