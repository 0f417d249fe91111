//! Cuts rows of an RGB image into the patches that a vision encoder reads, and normalizes the pixels.
//!
//! Patches of `patch x patch` pixels come in blocks of `merge x merge`. Blocks are in raster order, and so are the
//! patches of a block; inside a patch the order is channel, row, column. A band of `merge * patch` rows of pixels
//! becomes one contiguous part of the result, so bands can be written one by one
//! ([`resize_rows`](super::resize::resize_rows)).

use crate::isa::per_isa;

per_isa! {
    /// `out[patch, channel, y, x] = tables[channel][pixel[channel]]`.
    ///
    /// `rows` are whole bands of RGB pixels (three bytes a pixel, no padding), `across` patches wide. `out` has one
    /// value for each of their bytes. `tables` maps the 256 levels of each channel to normalized values.
    ///
    /// # Panics
    /// When `across` is no multiple of `merge`, a size is zero, or the slices are not whole bands of one length.
    pub fn patchify / patchify_at(
        rows: &[u8], across: usize, patch: usize, merge: usize, tables: &[[f32; 256]; 3], out: &mut [f32],
    ) {
        let line = 3 * across * patch;
        let band = line * merge * patch;
        assert!(band > 0 && across.is_multiple_of(merge), "{across} patches in blocks of {merge}");
        assert!(rows.len() == out.len() && rows.len().is_multiple_of(band), "whole bands of one length");
        let area = patch * patch;
        for (rows, out) in rows.chunks_exact(band).zip(out.chunks_exact_mut(band)) {
            for (index, out) in out.chunks_exact_mut(3 * area).enumerate() {
                let (block, inside) = (index / (merge * merge), index % (merge * merge));
                let (row, col) = (inside / merge, block * merge + inside % merge);
                let start = row * patch * line + col * patch * 3;
                let (red, rest) = out.split_at_mut(area);
                let (green, blue) = rest.split_at_mut(area);
                let planes = red.chunks_exact_mut(patch).zip(green.chunks_exact_mut(patch));
                for (y, ((red, green), blue)) in planes.zip(blue.chunks_exact_mut(patch)).enumerate() {
                    let (pixels, _) = rows[start + y * line..][..3 * patch].as_chunks::<3>();
                    for (((red, green), blue), pixel) in red.iter_mut().zip(green).zip(blue).zip(pixels) {
                        *red = tables[0][usize::from(pixel[0])];
                        *green = tables[1][usize::from(pixel[1])];
                        *blue = tables[2][usize::from(pixel[2])];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    /// The definition of [`patchify`], a value at a time.
    fn reference(rows: &[u8], across: usize, patch: usize, merge: usize, tables: &[[f32; 256]; 3]) -> Vec<f32> {
        let width = across * patch;
        let mut out = vec![f32::NAN; rows.len()];
        for (at, byte) in rows.iter().enumerate() {
            let (channel, x, y) = (at % 3, at / 3 % width, at / 3 / width);
            let (col, row) = (x / patch, y / patch);
            let block = row / merge * (across / merge) + col / merge;
            let index = block * merge * merge + row % merge * merge + col % merge;
            let place = ((index * 3 + channel) * patch + y % patch) * patch + x % patch;
            out[place] = tables[channel][usize::from(*byte)];
        }
        out
    }

    fn tables() -> [[f32; 256]; 3] {
        [0.1f32, 0.2, 0.3].map(|mean| std::array::from_fn(|level| (level as f32 / 255.0 - mean) / 0.7))
    }

    #[test]
    fn every_isa_computes_the_definition_at_every_patch_merge_and_width() {
        for isa in Isa::available() {
            for patch in 1..=33 {
                for (merge, blocks, bands) in [(1, 1, 1), (1, 3, 2), (2, 1, 2), (2, 3, 1), (3, 2, 2), (4, 1, 1)] {
                    let across = merge * blocks;
                    let bytes = 3 * across * patch * merge * patch * bands;
                    let rows: Vec<u8> = (0..bytes).map(|i: usize| (i.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
                    let mut out = vec![f32::NAN; bytes];
                    patchify_at(isa, &rows, across, patch, merge, &tables(), &mut out);
                    assert!(
                        out == reference(&rows, across, patch, merge, &tables()),
                        "{isa:?} patch {patch} merge {merge} across {across} bands {bands}"
                    );
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "whole bands")]
    fn half_a_band_is_refused() {
        patchify(&[0; 24], 2, 2, 2, &tables(), &mut [0.0; 24]);
    }

    #[test]
    #[should_panic(expected = "3 patches in blocks of 2")]
    fn half_a_block_is_refused() {
        patchify(&[0; 18], 3, 1, 2, &tables(), &mut [0.0; 18]);
    }
}
