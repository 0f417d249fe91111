//! Which instruction set the kernels use: the best this CPU has, or a lower one named by `ZOETROPE_ISA`.
//!
//! Kernels are written once as plain loops; [`per_level!`] compiles the same body for every level and picks at run
//! time.

use std::sync::OnceLock;

/// Instruction levels of this architecture, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the compile target guarantees.
    Portable,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, VL, BW and DQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same with VNNI (8-bit products) and BF16.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// NEON by name in the packed products; the compile target guarantees it, so plain loops are those of `Portable`.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// The same with 8-bit products (`dotprod`).
    #[cfg(target_arch = "aarch64")]
    NeonDot,
    /// The same with products of small matrices, 8-bit (`i8mm`) and `bf16`.
    #[cfg(target_arch = "aarch64")]
    NeonI8mm,
}

impl Level {
    /// All levels, lowest first, with their names in `ZOETROPE_ISA`.
    const ALL: &[(&str, Level)] = &[
        ("portable", Level::Portable),
        #[cfg(target_arch = "x86_64")]
        ("avx2", Level::Avx2),
        #[cfg(target_arch = "x86_64")]
        ("avx512", Level::Avx512),
        #[cfg(target_arch = "x86_64")]
        ("avx512vnni", Level::Avx512Vnni),
        #[cfg(target_arch = "aarch64")]
        ("neon", Level::Neon),
        #[cfg(target_arch = "aarch64")]
        ("neondot", Level::NeonDot),
        #[cfg(target_arch = "aarch64")]
        ("neoni8mm", Level::NeonI8mm),
    ];

    #[cfg(target_arch = "x86_64")]
    fn detect() -> Level {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        let short = is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bf16");
        match (avx2, wide, short) {
            (true, true, true) => Level::Avx512Vnni,
            (true, true, false) => Level::Avx512,
            (true, false, _) => Level::Avx2,
            (false, ..) => Level::Portable,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn detect() -> Level {
        use std::arch::is_aarch64_feature_detected;
        let dot = is_aarch64_feature_detected!("dotprod");
        let matrix = is_aarch64_feature_detected!("i8mm") && is_aarch64_feature_detected!("bf16");
        match (dot, matrix) {
            (true, true) => Level::NeonI8mm,
            (true, false) => Level::NeonDot,
            (false, _) => Level::Neon,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn detect() -> Level {
        Level::Portable
    }

    /// Levels this CPU can run, lowest first; tests force each of them.
    pub fn available() -> Vec<Level> {
        let best = level_of_cpu();
        Level::ALL.iter().map(|(_, level)| *level).filter(|level| *level <= best).collect()
    }

    /// Whether it has instructions for products of bf16 values; without them, those of f32 are faster.
    pub(crate) fn has_bf16(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => true,
            #[cfg(target_arch = "aarch64")]
            Level::NeonI8mm => true,
            _ => false,
        }
    }

    /// The level called `name`, or this one when it is lower or there is no such name.
    fn lowered(self, name: &str) -> Level {
        Level::ALL.iter().find(|(other, _)| *other == name).map_or(self, |(_, level)| self.min(*level))
    }
}

/// The best level this CPU has.
pub fn level_of_cpu() -> Level {
    static BEST: OnceLock<Level> = OnceLock::new();
    *BEST.get_or_init(Level::detect)
}

/// The level in use: never above what the CPU has, whatever `ZOETROPE_ISA` (`portable`; `avx2`, `avx512`, `avx512vnni`;
/// `neon`, `neondot`, `neoni8mm`) says.
pub fn level() -> Level {
    static CHOSEN: OnceLock<Level> = OnceLock::new();
    *CHOSEN.get_or_init(|| level_of_cpu().lowered(&std::env::var("ZOETROPE_ISA").unwrap_or_default()))
}

/// `a b + c`, rounded once where there is an instruction for it, else twice.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Defines a function whose body is compiled once a level; `name` runs the level in use, `name_at` a given one. In the
/// body `FMA` says whether the level has an instruction for [`fma`].
macro_rules! per_level {
    ($(#[$meta:meta])* $vis:vis fn $name:ident / $name_at:ident ($($arg:ident : $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
        #[allow(dead_code, reason = "some are called at the level in use, some at a given one")]
        $vis fn $name($($arg: $ty),*) {
            $name_at($crate::level::level(), $($arg),*)
        }

        /// The same at a forced level; levels the CPU lacks fall back to the best it has.
        #[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
        #[allow(dead_code, reason = "some are called at the level in use, some at a given one")]
        pub(crate) fn $name_at(level: $crate::level::Level, $($arg: $ty),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
            fn body<const FMA: bool>($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")]
                #[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
                fn avx512($($arg: $ty),*) {
                    body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
                fn avx2($($arg: $ty),*) {
                    body::<true>($($arg),*)
                }
                match level.min($crate::level::level_of_cpu()) {
                    $crate::level::Level::Avx512 | $crate::level::Level::Avx512Vnni => {
                        // SAFETY: `level_of_cpu()` only returns levels whose features were detected on this CPU.
                        return unsafe { avx512($($arg),*) };
                    }
                    // SAFETY: as above.
                    $crate::level::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::level::Level::Portable => {}
                }
            }
            let _ = level;
            body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}
pub(crate) use per_level;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lowers_the_level_and_never_raises_it() {
        for (_, best) in Level::ALL {
            for (name, level) in Level::ALL {
                assert_eq!(best.lowered(name), *best.min(level));
            }
            assert_eq!(best.lowered("another"), *best);
        }
        assert!(Level::ALL.is_sorted_by_key(|(_, level)| level));
        assert_eq!(Level::available().last(), Some(&level_of_cpu()));
    }
}
