//! The roofline of this machine (Williams et al., 2009): peak operations per second of the product instructions, and
//! memory bandwidth. `zoetrope bench` shows them beside what the kernels reach.

use std::time::Instant;

use rayon::prelude::*;

use crate::gemm::WeightType;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::isa::Isa;
use crate::isa::isa;
use crate::threads::thread_pool;

/// Jobs for each thread.
const JOBS_PER_THREAD: usize = 16;

/// Peak multiplications and additions (both counted) per second of `threads` threads with the widest product
/// instruction for `weight_type`, on registers alone. int4 uses the instruction of int8. `None` when the instruction
/// set in use has no such instruction.
pub fn peak_ops_per_second(weight_type: WeightType, threads: usize) -> Option<f64> {
    let one = peak_loop(weight_type)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()?;
    Some(pool.install(|| {
        // Some ten milliseconds, so that waking threads does not count. The first run raises the clock frequency.
        // Several jobs for each thread, because a thread may be held up.
        let rounds = 4_000_000 / JOBS_PER_THREAD;
        (0..3)
            .map(|_| {
                let clock = Instant::now();
                let operations: f64 = thread_pool::map(threads * JOBS_PER_THREAD, |_| one(rounds)).iter().sum();
                operations / clock.elapsed().as_secs_f64()
            })
            .fold(0.0, f64::max)
    }))
}

/// Bytes per second that `threads` threads read from memory. Each reads `bytes` bytes of its own, which must exceed the
/// caches.
pub fn read_bytes_per_second(threads: usize, bytes: usize) -> f64 {
    let size = bytes / 8 / JOBS_PER_THREAD;
    let data: Vec<Vec<u64>> =
        (0..threads * JOBS_PER_THREAD).into_par_iter().map(|n| vec![n as u64 + 1; size]).collect();
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return 0.0 };
    let read = || {
        let clock = Instant::now();
        let sums = pool.install(|| thread_pool::map(data.len(), |n| sum(&data[n])));
        let good = sums.iter().enumerate().all(|(n, sum)| *sum == (n as u64 + 1) * size as u64);
        if good { (data.len() * size * 8) as f64 / clock.elapsed().as_secs_f64() } else { 0.0 }
    };
    (0..3).map(|_| read()).fold(0.0, f64::max)
}

crate::isa::per_isa! {
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

/// A function that runs about `rounds` rounds of products and returns their number of operations.
fn peak_loop(weight_type: WeightType) -> Option<fn(usize) -> f64> {
    let isa = isa();
    match (isa, weight_type) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512Bf16, WeightType::Bf16) => Some(x86::bf16_avx512),
        // Other bf16 values are multiplied as f32.
        #[cfg(target_arch = "x86_64")]
        (_, WeightType::F32 | WeightType::Bf16) if isa >= Isa::Avx512 => Some(x86::f32_avx512),
        #[cfg(target_arch = "x86_64")]
        (_, WeightType::Int8 | WeightType::Int4) if isa >= Isa::Avx512Vnni => Some(x86::int8_avx512),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, WeightType::F32) => Some(x86::f32_avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, WeightType::Int8 | WeightType::Int4) => Some(x86::int8_avx2),
        #[cfg(target_arch = "aarch64")]
        (Isa::NeonI8mm | Isa::NeonDot | Isa::Neon, WeightType::F32) => Some(neon::f32_neon),
        #[cfg(target_arch = "aarch64")]
        (Isa::NeonI8mm, WeightType::Bf16) => Some(neon::bf16_bfmmla),
        #[cfg(target_arch = "aarch64")]
        (Isa::NeonI8mm, WeightType::Int8 | WeightType::Int4) => Some(neon::int8_smmla),
        #[cfg(target_arch = "aarch64")]
        (Isa::NeonDot, WeightType::Int8 | WeightType::Int4) => Some(neon::int8_sdot),
        _ => None,
    }
}

/// Defines `$name`: rounds of `$dot`, which counts as `$operations` operations, on `SUMS` independent sums.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! peak_loop {
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
            // SAFETY: `peak_loop` chooses it only for an instruction set that was detected on this CPU.
            unsafe { $inner(rounds) };
            (rounds * SUMS) as f64 * $operations
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(clippy::wildcard_imports, reason = "intrinsics")]
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Independent sums: enough to hide the latency of one product.
    const SUMS: usize = 12;

    peak_loop!(f32_avx512, inner, "avx512f", 32.0, _mm512_setzero_ps(), |sum, a, b| _mm512_fmadd_ps(a, b, sum));
    peak_loop!(f32_avx2, inner, "avx2,fma", 16.0, _mm256_setzero_ps(), |sum, a, b| _mm256_fmadd_ps(a, b, sum));
    // AVX2 has no single instruction. The sum is an operand, because compilers move a constant product out of the loop.
    peak_loop!(int8_avx2, inner, "avx2,fma", 64.0, _mm256_setzero_si256(), |sum, _a, b| {
        let pairs = _mm256_maddubs_epi16(sum, b);
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    });
    peak_loop!(int8_avx512, inner, "avx512f,avx512vnni", 128.0, _mm512_setzero_si512(), |sum, a, b| {
        _mm512_dpbusd_epi32(sum, a, b)
    });
    peak_loop!(bf16_avx512, inner, "avx512f,avx512bf16", 64.0, _mm512_setzero_ps(), |sum, a, b| {
        // SAFETY: the types are 512 bits of any pattern.
        let short = |value| unsafe { std::mem::transmute::<__m512, __m512bh>(value) };
        _mm512_dpbf16_ps(sum, short(a), short(b))
    });
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::{vdupq_n_f32, vdupq_n_u32, vfmaq_f32};
    use std::hint::black_box;

    use crate::neon_asm::{bfmmla, sdot, smmla};

    /// Independent sums: enough to hide the latency of four cycles on four units.
    const SUMS: usize = 24;

    peak_loop!(f32_neon, inner, "neon", 8.0, vdupq_n_f32(0.0), |sum, a, b| vfmaq_f32(sum, a, b));
    peak_loop!(int8_sdot, inner, "neon,dotprod", 32.0, vdupq_n_u32(0), |sum, a, b| {
        // SAFETY: compiled for `dotprod`, and chosen only where the CPU has it.
        unsafe { sdot::<0>(sum, a, b) }
    });
    peak_loop!(int8_smmla, inner, "neon,i8mm", 64.0, vdupq_n_u32(0), |sum, a, b| {
        // SAFETY: compiled for `i8mm`, and chosen only where the CPU has it.
        unsafe { smmla(sum, a, b) }
    });
    peak_loop!(bf16_bfmmla, inner, "neon,bf16", 32.0, vdupq_n_u32(0), |sum, a, b| {
        // SAFETY: compiled for `bf16`, and chosen only where the CPU has it.
        unsafe { bfmmla(sum, a, b) }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peak_loop_counts_its_operations() {
        for one in WeightType::ALL.into_iter().filter_map(peak_loop) {
            assert_eq!(one(6), 2.0 * one(3));
        }
    }
}
