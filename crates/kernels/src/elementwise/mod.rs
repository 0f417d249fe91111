//! Operations value by value or row by row, f32: activations, normalization, rotary embedding, addition, cross entropy.
//! Each runs on the calling thread; [`crate::threads::par_rows()`] spreads rows over threads.

pub mod activation;
mod add;
pub mod cross_entropy;
pub(crate) mod exp;
pub mod norm;
pub mod rope;

pub use add::add;
