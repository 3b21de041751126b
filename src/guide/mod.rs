//! Pages that tell how things go together.

#[doc = include_str!("embedding.md")]
pub mod embedding {}

#[doc = include_str!("house.md")]
pub mod house {}
