//! Which instruction set the kernels use: the best this CPU has, or a lower one named by `ZOETROPE_ISA`.
//!
//! Kernels are written once as plain loops; [`per_level!`] compiles the same body for every level and picks at run
//! time.

use std::sync::OnceLock;

/// Instruction levels, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the compile target guarantees.
    Portable,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, VL, BW and DQ.
    Avx512,
    /// The same with VNNI (8-bit products) and BF16.
    Avx512Vnni,
}

impl Level {
    fn detect() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq");
            let short = is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bf16");
            if avx2 && wide {
                return if short { Level::Avx512Vnni } else { Level::Avx512 };
            }
            if avx2 {
                return Level::Avx2;
            }
        }
        Level::Portable
    }

    /// Levels this CPU can run, lowest first; tests force each of them.
    pub fn available() -> Vec<Level> {
        let best = level_of_cpu();
        let all = [Level::Portable, Level::Avx2, Level::Avx512, Level::Avx512Vnni];
        all.into_iter().filter(|level| *level <= best).collect()
    }
}

/// The best level this CPU has.
pub fn level_of_cpu() -> Level {
    static BEST: OnceLock<Level> = OnceLock::new();
    *BEST.get_or_init(Level::detect)
}

/// The level in use: never above what the CPU has, whatever `ZOETROPE_ISA` (`portable`, `avx2`, `avx512`, `avx512vnni`)
/// says.
pub fn level() -> Level {
    static CHOSEN: OnceLock<Level> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let best = level_of_cpu();
        let asked = match std::env::var("ZOETROPE_ISA").as_deref() {
            Ok("portable") => Level::Portable,
            Ok("avx2") => Level::Avx2,
            Ok("avx512") => Level::Avx512,
            _ => Level::Avx512Vnni,
        };
        best.min(asked)
    })
}

/// Defines a function whose body is compiled once a level; `name` runs the level in use, `name_at` a given one.
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
            fn body($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")]
                #[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
                fn avx512($($arg: $ty),*) {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
                fn avx2($($arg: $ty),*) {
                    body($($arg),*)
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
            body($($arg),*)
        }
    };
}
pub(crate) use per_level;
