//! The model families. Each is a folder here and a line below.

#[cfg(test)]
mod golden_frames;

use crate::family::Family;

/// Declares the module of each family, and the list of them. `cargo fmt` does not look into it: `.ci/format` does.
macro_rules! families {
    ($(mod $family:ident;)*) => {
        $(mod $family;)*

        /// Every family.
        pub const ALL: &[Family] = &[$($family::FAMILY),*];
    };
}

families! {
    mod cogvlm2;
    mod llama_vid;
    mod llava_onevision;
    mod videochat2;
    mod videollama3;
}
