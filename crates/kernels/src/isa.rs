//! Instruction sets (ISA): detection of the best one this CPU has, the override `ZOETROPE_ISA`, and dispatch.
//!
//! Most kernels are plain loops, written once: [`per_isa!`] compiles the body for every instruction set and picks one
//! at run time.

use std::sync::OnceLock;

/// Instruction sets of this architecture that kernels are compiled for, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// The baseline that the compile target guarantees.
    Portable,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, VL, BW and DQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-512 with VNNI (8-bit dot products).
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// AVX-512 with VNNI and BF16 (bf16 dot products).
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// NEON intrinsics in the GEMM micro-kernels. Plain loops equal those of `Portable`: the target guarantees NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// NEON with 8-bit dot products (`dotprod`).
    #[cfg(target_arch = "aarch64")]
    NeonDot,
    /// NEON with 8-bit and bf16 matrix products (`i8mm`, `bf16`).
    #[cfg(target_arch = "aarch64")]
    NeonI8mm,
}

impl Isa {
    /// All instruction sets, lowest first, with their names in `ZOETROPE_ISA`.
    const ALL: &[(&str, Isa)] = &[
        ("portable", Isa::Portable),
        #[cfg(target_arch = "x86_64")]
        ("avx2", Isa::Avx2),
        #[cfg(target_arch = "x86_64")]
        ("avx512", Isa::Avx512),
        #[cfg(target_arch = "x86_64")]
        ("avx512vnni", Isa::Avx512Vnni),
        #[cfg(target_arch = "x86_64")]
        ("avx512bf16", Isa::Avx512Bf16),
        #[cfg(target_arch = "aarch64")]
        ("neon", Isa::Neon),
        #[cfg(target_arch = "aarch64")]
        ("neondot", Isa::NeonDot),
        #[cfg(target_arch = "aarch64")]
        ("neoni8mm", Isa::NeonI8mm),
    ];

    #[cfg(target_arch = "x86_64")]
    fn detect() -> Isa {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        let (vnni, bf16) = (is_x86_feature_detected!("avx512vnni"), is_x86_feature_detected!("avx512bf16"));
        match (avx2, avx512, vnni, bf16) {
            (true, true, true, true) => Isa::Avx512Bf16,
            (true, true, true, false) => Isa::Avx512Vnni,
            (true, true, false, _) => Isa::Avx512,
            (true, false, ..) => Isa::Avx2,
            (false, ..) => Isa::Portable,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn detect() -> Isa {
        use std::arch::is_aarch64_feature_detected;
        let dot = is_aarch64_feature_detected!("dotprod");
        let matrix = is_aarch64_feature_detected!("i8mm") && is_aarch64_feature_detected!("bf16");
        match (dot, matrix) {
            (true, true) => Isa::NeonI8mm,
            (true, false) => Isa::NeonDot,
            (false, _) => Isa::Neon,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn detect() -> Isa {
        Isa::Portable
    }

    /// Instruction sets this CPU can run, lowest first; tests force each of them.
    pub fn available() -> Vec<Isa> {
        let best = detected_isa();
        Isa::ALL.iter().map(|(_, isa)| *isa).filter(|isa| *isa <= best).collect()
    }

    /// Whether it has bf16 dot products. Without them f32 products are faster than emulated bf16.
    pub(crate) fn has_bf16(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => true,
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm => true,
            _ => false,
        }
    }

    /// The lower of this instruction set and the one called `name`; an unknown name changes nothing.
    fn lowered(self, name: &str) -> Isa {
        Isa::ALL.iter().find(|(other, _)| *other == name).map_or(self, |(_, isa)| self.min(*isa))
    }
}

/// The best instruction set this CPU has.
pub fn detected_isa() -> Isa {
    static BEST: OnceLock<Isa> = OnceLock::new();
    *BEST.get_or_init(Isa::detect)
}

/// The instruction set in use: the fastest this CPU has, or the one that the environment variable `ZOETROPE_ISA` names,
/// as far as the CPU has it (`portable`; on x86-64 `avx2`, `avx512`, `avx512vnni`, `avx512bf16`; on AArch64 `neon`,
/// `neondot`, `neoni8mm`). Read once.
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| match std::env::var("ZOETROPE_ISA") {
        Ok(name) if Isa::ALL.iter().any(|(known, _)| *known == name) => detected_isa().lowered(&name),
        _ => fastest_isa(),
    })
}

/// The best instruction set, but for bf16 dot products where they are slower than f32 products. That is so on Intel's
/// processors: one such instruction starts every second cycle, and two f32 products start in each.
#[cfg(target_arch = "x86_64")]
fn fastest_isa() -> Isa {
    let words = std::arch::x86_64::__cpuid(0);
    let intel = [words.ebx, words.edx, words.ecx].map(u32::to_le_bytes).concat() == b"GenuineIntel";
    if intel { detected_isa().min(Isa::Avx512Vnni) } else { detected_isa() }
}

/// The best instruction set.
#[cfg(not(target_arch = "x86_64"))]
fn fastest_isa() -> Isa {
    detected_isa()
}

/// Multiply-add `a b + c`: rounded once (FMA instruction) when `FMA`, else twice.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Defines a function whose body is compiled once per instruction set. `name` runs the instruction set in use,
/// `name_at` a given one. In the body the constant `FMA` says whether [`fma`] is one instruction.
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident / $name_at:ident ($($arg:ident : $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
        #[allow(dead_code, reason = "some kernels are called with the ISA in use, some with a given one")]
        $vis fn $name($($arg: $ty),*) {
            $name_at($crate::isa::isa(), $($arg),*)
        }

        #[doc = concat!("[`", stringify!($name), "`] with a given instruction set, lowered to what the CPU has.")]
        #[allow(clippy::too_many_arguments, reason = "kernels take plain slices and sizes")]
        #[allow(dead_code, reason = "some kernels are called with the ISA in use, some with a given one")]
        pub(crate) fn $name_at(isa: $crate::isa::Isa, $($arg: $ty),*) {
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
                match isa.min($crate::isa::detected_isa()) {
                    isa if isa >= $crate::isa::Isa::Avx512 => {
                        // SAFETY: `detected_isa()` only returns instruction sets that were detected on this CPU.
                        return unsafe { avx512($($arg),*) };
                    }
                    // SAFETY: AVX2 and FMA were detected on this CPU.
                    $crate::isa::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    _ => {}
                }
            }
            let _ = isa;
            body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}
pub(crate) use per_isa;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lowers_the_isa_and_never_raises_it() {
        for (_, best) in Isa::ALL {
            for (name, isa) in Isa::ALL {
                assert_eq!(best.lowered(name), *best.min(isa));
            }
            assert_eq!(best.lowered("another"), *best);
        }
        assert!(Isa::ALL.is_sorted_by_key(|(_, isa)| isa));
        assert_eq!(Isa::available().last(), Some(&detected_isa()));
    }
}
