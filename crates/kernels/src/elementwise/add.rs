//! Addition, element by element.

use crate::isa::per_isa;

per_isa! {
    /// `sum = x + y`.
    pub fn add / add_at(x: &[f32], y: &[f32], sum: &mut [f32]) {
        for ((sum, x), y) in sum.iter_mut().zip(x).zip(y) {
            *sum = x + y;
        }
    }
}
