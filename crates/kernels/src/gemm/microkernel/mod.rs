//! Micro-kernels: a block of at most [`MR`](super::layout::MR) rows of `x` times one panel of [`NR`](super::layout::NR)
//! rows of `W`. `portable` is the definition in plain loops; `avx2`, `avx512` and `neon` compute it with intrinsics.

mod args;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16_as_f32;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

pub(crate) use args::{MicroKernelArgs, Strided};

use super::layout::NR;
use super::weight_type::WeightType;
use crate::isa::{Isa, detected_isa};

/// Adds the products of `args` to the accumulators `acc`, or writes them if `args.zero_init`. Each row of `x` has a row
/// of accumulators, in which the [`NR`] values of each panel follow each other.
///
/// Panics when the slices do not have the sizes that `args` says.
pub(crate) fn accumulate(isa: Isa, weight_type: WeightType, args: &MicroKernelArgs<'_>, acc: &mut [f32]) {
    args.check(weight_type, acc);
    let isa = isa.min(detected_isa());
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the sizes were checked above, and the instruction set was detected on this CPU.
    unsafe {
        match (isa, weight_type) {
            (Isa::Avx512Bf16, WeightType::Bf16) => return avx512::bf16(args, acc),
            (_, WeightType::Bf16) if isa >= Isa::Avx512 => return avx512_bf16_as_f32::bf16(args, acc),
            (_, WeightType::Int8) if isa >= Isa::Avx512Vnni => return avx512::int8(args, acc),
            (_, WeightType::Int4) if isa >= Isa::Avx512Vnni => return avx512::int4(args, acc),
            (_, WeightType::F32) if isa >= Isa::Avx512 => return avx512::f32(args, acc),
            _ => {}
        }
    }
    for (tile, first) in args.tiles(weight_type) {
        let acc = &mut acc[first..][..(tile.x.mr - 1) * tile.acc_stride + NR];
        match isa {
            Isa::Portable => portable::accumulate(weight_type, &tile, acc),
            // SAFETY: a tile of what was checked above, and the instruction set was detected on this CPU.
            #[cfg(target_arch = "x86_64")]
            _ => unsafe { avx2::accumulate(weight_type, &tile, acc) },
            // SAFETY: a tile of what was checked above, and the instruction set was detected on this CPU.
            #[cfg(target_arch = "aarch64")]
            _ => unsafe { neon::accumulate(isa, weight_type, &tile, acc) },
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            _ => portable::accumulate(weight_type, &tile, acc),
        }
    }
}
