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
