//! What this machine can do at most: products a second by the instructions alone, and bytes read a second. `zoetrope
//! bench` shows them beside what the kernels reach.

use std::time::Instant;

use rayon::prelude::*;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::level::Level;
use crate::level::level;
use crate::packed::Kind;
use crate::team;

/// Parts of a thread's work.
const PARTS: usize = 16;

/// Multiplications and additions a second (both counted) that `threads` threads reach with the widest product
/// instruction of `kind` on registers alone; `None` when the level in use has no such instruction (4-bit: int8's).
pub fn operations_a_second(kind: Kind, threads: usize) -> Option<f64> {
    let one = loops(kind)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()?;
    Some(pool.install(|| {
        // Some ten milliseconds, beside which waking a thread is nothing; the first run raises the clock. In parts, for
        // a thread that is held up.
        let rounds = 4_000_000 / PARTS;
        (0..3)
            .map(|_| {
                let clock = Instant::now();
                let operations: f64 = team::map(threads * PARTS, |_| one(rounds)).iter().sum();
                operations / clock.elapsed().as_secs_f64()
            })
            .fold(0.0, f64::max)
    }))
}

/// Bytes a second that `threads` threads read from memory: `bytes` of their own each, more than the caches hold.
pub fn bytes_a_second(threads: usize, bytes: usize) -> f64 {
    let size = bytes / 8 / PARTS;
    let data: Vec<Vec<u64>> = (0..threads * PARTS).into_par_iter().map(|n| vec![n as u64 + 1; size]).collect();
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return 0.0 };
    let read = || {
        let clock = Instant::now();
        let sums = pool.install(|| team::map(data.len(), |n| sum(&data[n])));
        let good = sums.iter().enumerate().all(|(n, sum)| *sum == (n as u64 + 1) * size as u64);
        if good { (data.len() * size * 8) as f64 / clock.elapsed().as_secs_f64() } else { 0.0 }
    };
    (0..3).map(|_| read()).fold(0.0, f64::max)
}

crate::level::per_level! {
    /// Adds up `data`.
    fn add_up / add_up_at(data: &[u64], total: &mut u64) {
        *total = data.iter().fold(0, |sum, value| sum.wrapping_add(*value));
    }
}

fn sum(data: &[u64]) -> u64 {
    let mut total = 0;
    add_up(data, &mut total);
    total
}

/// A function that does about `rounds` rounds of products and says how many operations they were.
fn loops(kind: Kind) -> Option<fn(usize) -> f64> {
    match (level(), kind) {
        #[cfg(target_arch = "x86_64")]
        (Level::Avx512Vnni | Level::Avx512, Kind::F32) => Some(x86::f32_wide),
        #[cfg(target_arch = "x86_64")]
        (Level::Avx512Vnni, Kind::Bf16) => Some(x86::bf16_wide),
        #[cfg(target_arch = "x86_64")]
        (Level::Avx512Vnni, Kind::Int8 | Kind::Int4) => Some(x86::int8_wide),
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2, Kind::F32) => Some(x86::f32_half),
        #[cfg(target_arch = "aarch64")]
        (Level::NeonI8mm | Level::NeonDot | Level::Neon, Kind::F32) => Some(arm::f32_four),
        #[cfg(target_arch = "aarch64")]
        (Level::NeonI8mm, Kind::Bf16) => Some(arm::bf16_pairs),
        #[cfg(target_arch = "aarch64")]
        (Level::NeonI8mm, Kind::Int8 | Kind::Int4) => Some(arm::int8_pairs),
        #[cfg(target_arch = "aarch64")]
        (Level::NeonDot, Kind::Int8 | Kind::Int4) => Some(arm::int8_dot),
        _ => None,
    }
}

/// Defines `$name`: rounds of `$dot`, which counts as `$operations`, on `SUMS` independent sums.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! peak {
    ($name:ident, $inner:ident, $features:literal, $operations:literal, $zero:expr, $dot:expr) => {
        pub(super) fn $name(rounds: usize) -> f64 {
            #[target_feature(enable = $features)]
            fn $inner(rounds: usize) {
                let mut sums = [$zero; SUMS];
                let (a, b) = (black_box($zero), black_box($zero));
                for _ in 0..rounds {
                    for sum in &mut sums {
                        *sum = $dot(*sum, a, b);
                    }
                }
                black_box(sums);
            }
            // SAFETY: chosen only at a level that was detected on this CPU.
            unsafe { $inner(rounds) };
            (rounds * SUMS) as f64 * $operations
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(clippy::wildcard_imports, reason = "the instructions")]
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Independent sums: enough to hide the latency of one product.
    const SUMS: usize = 12;

    peak!(f32_wide, inner, "avx512f", 32.0, _mm512_setzero_ps(), |sum, a, b| _mm512_fmadd_ps(a, b, sum));
    peak!(f32_half, inner, "avx2,fma", 16.0, _mm256_setzero_ps(), |sum, a, b| _mm256_fmadd_ps(a, b, sum));
    peak!(int8_wide, inner, "avx512f,avx512vnni", 128.0, _mm512_setzero_si512(), |sum, a, b| _mm512_dpbusd_epi32(
        sum, a, b
    ));
    peak!(bf16_wide, inner, "avx512f,avx512bf16", 64.0, _mm512_setzero_ps(), |sum, a, b| {
        // SAFETY: both are 512 bits of anything.
        let short = |value| unsafe { std::mem::transmute::<__m512, __m512bh>(value) };
        _mm512_dpbf16_ps(sum, short(a), short(b))
    });
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::{vdupq_n_f32, vdupq_n_u32, vfmaq_f32};
    use std::hint::black_box;

    use crate::arm::{bfmmla, sdot, smmla};

    /// Independent sums: enough to hide the latency of four cycles on four units.
    const SUMS: usize = 24;

    peak!(f32_four, inner, "neon", 8.0, vdupq_n_f32(0.0), |sum, a, b| vfmaq_f32(sum, a, b));
    peak!(int8_dot, inner, "neon,dotprod", 32.0, vdupq_n_u32(0), |sum, a, b| {
        // SAFETY: compiled for the instruction, and chosen where the CPU has it.
        unsafe { sdot::<0>(sum, a, b) }
    });
    peak!(int8_pairs, inner, "neon,i8mm", 64.0, vdupq_n_u32(0), |sum, a, b| {
        // SAFETY: as above.
        unsafe { smmla(sum, a, b) }
    });
    peak!(bf16_pairs, inner, "neon,bf16", 32.0, vdupq_n_u32(0), |sum, a, b| {
        // SAFETY: as above.
        unsafe { bfmmla(sum, a, b) }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ceiling_counts_its_operations() {
        for one in Kind::ALL.into_iter().filter_map(loops) {
            assert_eq!(one(6), 2.0 * one(3));
        }
    }
}
