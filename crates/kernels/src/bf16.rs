//! bf16 values as their 16 bits: the upper half of an f32.

/// The nearest bf16, ties to even. NaN stays NaN.
#[inline(always)]
pub(crate) fn f32_to_bf16(value: f32) -> u16 {
    // Rounding could carry out of the mantissa of a NaN: its quiet bit is set instead.
    if value.is_nan() { (value.to_bits() >> 16) as u16 | 0x40 } else { (round_to_bf16_bits(value) >> 16) as u16 }
}

/// The f32 bits of a number whose upper half is rounded to bf16, ties to even. The lower half is meaningless.
#[inline(always)]
pub(crate) fn round_to_bf16_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    bits.wrapping_add(0x7fff + ((bits >> 16) & 1))
}

/// The f32 value of bf16 bits, exact.
#[inline(always)]
pub(crate) fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
