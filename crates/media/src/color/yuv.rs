//! YUV images as decoders give them: planes of luma and chroma.

/// The values of one plane.
#[derive(Clone, Debug)]
pub(crate) enum Plane {
    /// 8 bits per value.
    U8(Vec<u8>),
    /// 9 to 16 bits per value, in the low bits.
    U16(Vec<u16>),
}

impl Plane {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Plane::U8(v) => v.len(),
            Plane::U16(v) => v.len(),
        }
    }

    /// A plane from little-endian bytes, one per value up to a depth of 8 bits and two above.
    pub(crate) fn from_le_bytes(bytes: Vec<u8>, bit_depth: u8) -> Plane {
        if bit_depth <= 8 {
            return Plane::U8(bytes);
        }
        Plane::U16(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
    }
}

/// One YUV image. Planes have no padding: luma `width * height` values, each chroma plane
/// `chroma_width() * chroma_height()` (none for monochrome).
#[derive(Clone, Debug)]
pub(crate) struct YuvImage {
    /// Luma width in pixels, cropped.
    pub(crate) width: usize,
    /// Luma height in pixels, cropped.
    pub(crate) height: usize,
    /// Bits per value.
    pub(crate) bit_depth: u8,
    /// Whether chroma is subsampled horizontally: one column for two of luma.
    pub(crate) half_width_chroma: bool,
    /// Whether chroma is subsampled vertically: one row for two of luma.
    pub(crate) half_height_chroma: bool,
    /// Whether odd and even rows are two fields, each with its own rows of chroma.
    pub(crate) interlaced: bool,
    /// Whether chroma is sited on the left of its two columns (H.264, HEVC). False when between them or not stated.
    pub(crate) left_sited_chroma: bool,
    /// Y, U (blue difference) and V (red difference).
    pub(crate) planes: [Plane; 3],
}

impl YuvImage {
    /// Columns of a chroma plane.
    pub(crate) fn chroma_width(&self) -> usize {
        if self.half_width_chroma { self.width.div_ceil(2) } else { self.width }
    }

    /// Rows of a chroma plane.
    pub(crate) fn chroma_height(&self) -> usize {
        if self.half_height_chroma { self.height.div_ceil(2) } else { self.height }
    }

    /// Checks the lengths of the planes against the size of the image; `Err` names the mismatch.
    pub(crate) fn check(&self) -> Result<(), String> {
        let chroma = self.chroma_width() * self.chroma_height();
        let sizes = [self.width * self.height, chroma, chroma];
        for (plane, (values, size)) in self.planes.iter().zip(sizes).enumerate() {
            let (has, mono) = (values.len(), plane > 0 && values.len() == 0);
            if has != size && !mono {
                let (w, h) = (self.width, self.height);
                return Err(format!("plane {plane} of a {w}x{h} picture has {has} samples, not {size}"));
            }
        }
        if self.width == 0 || self.height == 0 {
            return Err("the picture has no pixel".into());
        }
        Ok(())
    }

    /// Drops the first columns and rows: `start` pixels, multiples of the chroma subsampling. A start beyond the image
    /// leaves it whole.
    pub(crate) fn drop_start(&mut self, start: [usize; 2]) {
        if start[0] >= self.width || start[1] >= self.height {
            return;
        }
        let chroma = [start[0] >> u8::from(self.half_width_chroma), start[1] >> u8::from(self.half_height_chroma)];
        let (columns, strides) = ([start, chroma, chroma], [self.width, self.chroma_width(), self.chroma_width()]);
        for ((plane, [left, top]), stride) in self.planes.iter_mut().zip(columns).zip(strides) {
            match plane {
                Plane::U8(values) => *values = rows_from(values, stride, left, top),
                Plane::U16(values) => *values = rows_from(values, stride, left, top),
            }
        }
        self.width -= start[0];
        self.height -= start[1];
    }

    /// Chroma subsampling: "4:2:0", "4:2:2", "4:4:4" or "4:0:0".
    pub(crate) fn subsampling(&self) -> &'static str {
        match (self.planes[1].len(), self.half_width_chroma, self.half_height_chroma) {
            (0, ..) => "4:0:0",
            (_, true, true) => "4:2:0",
            (_, true, false) => "4:2:2",
            _ => "4:4:4",
        }
    }
}

/// A plane without its first `top` rows and `left` columns.
fn rows_from<T: Copy>(values: &[T], stride: usize, left: usize, top: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(values.len());
    values.chunks_exact(stride).skip(top).for_each(|row| out.extend_from_slice(&row[left..]));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_every_plane_is_dropped() {
        let planes = [(0..24).collect(), (0..6).collect(), (10..16).collect()].map(Plane::U8);
        let mut yuv = YuvImage {
            width: 6,
            height: 4,
            bit_depth: 8,
            half_width_chroma: true,
            half_height_chroma: true,
            interlaced: false,
            left_sited_chroma: true,
            planes,
        };
        yuv.drop_start([6, 0]);
        assert_eq!((yuv.width, yuv.height), (6, 4));
        yuv.drop_start([2, 2]);
        yuv.check().unwrap();
        assert_eq!((yuv.width, yuv.height), (4, 2));
        let values = |plane: usize| match &yuv.planes[plane] {
            Plane::U8(values) => values.clone(),
            Plane::U16(_) => panic!("8 bits"),
        };
        assert_eq!(values(0), [14, 15, 16, 17, 20, 21, 22, 23]);
        assert_eq!((values(1), values(2)), (vec![4, 5], vec![14, 15]));
    }
}
