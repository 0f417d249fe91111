//! Decoded pictures as decoders give them: planes of luma and chroma.

/// Samples of a plane: bytes for 8-bit video, words for deeper.
#[derive(Clone, Debug)]
pub(crate) enum Samples {
    /// 8 bits each.
    Byte(Vec<u8>),
    /// 9 to 16 bits each, in the low bits.
    Word(Vec<u16>),
}

impl Samples {
    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        match self {
            Samples::Byte(v) => v.len(),
            Samples::Word(v) => v.len(),
        }
    }

    /// Samples from little-endian bytes, one or two each.
    pub(crate) fn from_le_bytes(bytes: Vec<u8>, depth: u8) -> Samples {
        if depth <= 8 {
            return Samples::Byte(bytes);
        }
        Samples::Word(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
    }
}

/// One picture. Planes are dense: luma `width * height`, each chroma plane `chroma_width() * chroma_height()`
/// (empty for monochrome).
#[derive(Clone, Debug)]
pub(crate) struct Yuv {
    /// Luma width in samples (cropped).
    pub(crate) width: usize,
    /// Luma height.
    pub(crate) height: usize,
    /// Bits a sample.
    pub(crate) depth: u8,
    /// Whether chroma has half the columns.
    pub(crate) half_columns: bool,
    /// Whether chroma has half the rows.
    pub(crate) half_rows: bool,
    /// Whether odd and even rows are two fields, each with its own rows of chroma.
    pub(crate) interlaced: bool,
    /// Whether chroma lies on the left one of its two columns (H.264, HEVC) rather than between them or unsaid.
    pub(crate) left: bool,
    /// Luma, blue difference, red difference.
    pub(crate) planes: [Samples; 3],
}

impl Yuv {
    /// Columns of a chroma plane.
    pub(crate) fn chroma_width(&self) -> usize {
        if self.half_columns { self.width.div_ceil(2) } else { self.width }
    }

    /// Rows of a chroma plane.
    pub(crate) fn chroma_height(&self) -> usize {
        if self.half_rows { self.height.div_ceil(2) } else { self.height }
    }

    /// Whether the planes have the sizes that the picture needs; `Err` names the mismatch.
    pub(crate) fn check(&self) -> Result<(), String> {
        let chroma = self.chroma_width() * self.chroma_height();
        let sizes = [self.width * self.height, chroma, chroma];
        for (plane, (samples, size)) in self.planes.iter().zip(sizes).enumerate() {
            let (has, mono) = (samples.len(), plane > 0 && samples.len() == 0);
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

    /// "4:2:0", "4:2:2", "4:4:4" or "4:0:0".
    pub(crate) fn sampling(&self) -> &'static str {
        match (self.planes[1].len(), self.half_columns, self.half_rows) {
            (0, ..) => "4:0:0",
            (_, true, true) => "4:2:0",
            (_, true, false) => "4:2:2",
            _ => "4:4:4",
        }
    }
}
