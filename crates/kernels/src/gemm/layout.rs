//! The format of packed weights, and the words for it.
//!
//! - A **panel** is [`NR`] rows of `W`, interleaved; each of these rows is a **lane**.
//! - A **k-step** is 32 bits for each lane of a panel: 1 f32, 2 bf16, 4 int8 or 4 int4 values along `cols` (the k
//!   dimension). K-steps follow each other in the order in which the micro-kernels read them.
//! - A **group** is the values of a row that share a scale. An int8 group is 32 k-steps (the last may be shorter),
//!   followed by one bf16 scale a lane. An int4 group is 8 k-steps in the space of 4: the low nibbles of its bytes
//!   belong to k-step `s`, the high nibbles to k-step `s + 4`, for `s` in `0..4`; one byte a lane for its scale
//!   follows, then one byte a lane for its minimum.
//! - A **super-block** is 8 int4 groups (the last may have fewer). It begins with two f32 factors a lane: those of its
//!   scales, then those of its minima. A weight is `factor * scale * nibble - factor * minimum`, as in the K-quants of
//!   GGUF, whose `Q4_K` is this with six bits for scales and minima: it is packed without rounding
//!   ([`SuperBlock`](super::SuperBlock)).
//! - A **micro-tile** is the product of at most [`MR`] rows of `x` with one panel.
//!
//! The bytes do not depend on the instruction set. int8 values are stored with a zero point ([`I8_ZERO_POINT`]), so
//! that they are unsigned, as int4 values are.

/// Rows of `W` in a panel.
pub(crate) const NR: usize = 32;
/// Bytes of one k-step of a panel.
pub(crate) const STEP_BYTES: usize = 4 * NR;
/// Most rows of `x` in a micro-tile.
pub(crate) const MR: usize = if cfg!(target_arch = "x86_64") { 8 } else { FULL_MR };
/// Rows of a micro-tile where there are many. With two registers of lanes a row, the integer and the f32 accumulators
/// of six rows fit the 32 registers of AVX-512.
pub(crate) const FULL_MR: usize = 6;
/// Values of a row of `x` that share a scale when `W` is int8 or int4.
pub(crate) const ACT_GROUP: usize = 128;
/// Values of an int8 row of `W` that share a scale.
pub(crate) const I8_GROUP: usize = 128;
/// Values of an int4 row of `W` that share a scale and a minimum.
pub(crate) const I4_GROUP: usize = 32;
/// Groups of a full super-block of an int4 panel.
pub(crate) const I4_BLOCK_GROUPS: usize = 8;
/// Values of a row in a full super-block.
pub(crate) const I4_BLOCK_COLS: usize = I4_BLOCK_GROUPS * I4_GROUP;
/// Bytes of the scales of one group of an int8 panel.
pub(crate) const GROUP_SCALES_BYTES: usize = 2 * NR;
/// Bytes of a full group of an int8 panel: k-steps, then scales.
pub(crate) const I8_GROUP_BYTES: usize = I8_GROUP / 4 * STEP_BYTES + GROUP_SCALES_BYTES;
/// Bytes of the nibbles of a group of an int4 panel.
pub(crate) const I4_NIBBLES_BYTES: usize = NR * I4_GROUP / 2;
/// Bytes of a group of an int4 panel: nibbles, scales, minima.
pub(crate) const I4_GROUP_BYTES: usize = I4_NIBBLES_BYTES + 2 * NR;
/// Bytes of the factors at the beginning of a super-block of an int4 panel.
pub(crate) const I4_FACTORS_BYTES: usize = 2 * 4 * NR;
/// Bytes of a full super-block of an int4 panel: factors, then groups.
pub(crate) const I4_BLOCK_BYTES: usize = I4_FACTORS_BYTES + I4_BLOCK_GROUPS * I4_GROUP_BYTES;
/// Long rows are cut into slices of a multiple of so many k-steps: whole super-blocks, and whole windows of the NEON
/// micro-kernels, which sum each window before they add it. So slices do not change the rounding.
pub(crate) const SLICE_STEPS: usize = 64;
/// Stored int8 weights are this much above their value.
pub(crate) const I8_ZERO_POINT: f32 = 128.0;

/// Byte and shift of value `k` of an int4 group for `lane`.
pub(crate) fn nibble_position(lane: usize, k: usize) -> (usize, u32) {
    let (step, byte) = (k / 4, k % 4);
    (step % 4 * STEP_BYTES + lane * 4 + byte, 4 * (step as u32 / 4))
}

/// Scale and minimum of a lane of an int4 group: `factors` begin the super-block, `group` is the bytes of the group.
pub(crate) fn scale_and_minimum(factors: &[u8], group: &[u8], lane: usize) -> (f32, f32) {
    let one = |number: usize| {
        let at = 4 * (number * NR + lane);
        let factor = f32::from_le_bytes([factors[at], factors[at + 1], factors[at + 2], factors[at + 3]]);
        factor * f32::from(group[I4_NIBBLES_BYTES + number * NR + lane])
    };
    (one(0), one(1))
}
