//! How fast a model runs here, beside the machine's roofline: patches encoded, prompt tokens read and answer tokens
//! generated per second.

mod encode;
mod language;
mod matmul;
mod roofline;
mod speed;

pub use encode::encode;
pub use language::{decode_together, prefill_and_decode};
pub use matmul::matmul;
pub use roofline::{Roofline, instruction_set, roofline};
pub use speed::{Speed, Workload};
