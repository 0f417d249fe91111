//! Checked sizes of images and buffers.

/// Why an image could not be resized: the caller's sizes do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResizeError {
    /// A side is zero.
    #[error("cannot resize {width}x{height} to {out_width}x{out_height}: a side is zero")]
    Empty {
        /// Width of the source.
        width: u32,
        /// Height of the source.
        height: u32,
        /// Width of the result.
        out_width: u32,
        /// Height of the result.
        out_height: u32,
    },
    /// The length of a buffer does not fit the size of its image.
    #[error("the {what} buffer has {bytes} bytes, a {width}x{height} RGB image has {expected}")]
    Buffer {
        /// "source" or "target".
        what: &'static str,
        /// Bytes given.
        bytes: usize,
        /// Bytes needed.
        expected: usize,
        /// Width of that image.
        width: u32,
        /// Height of that image.
        height: u32,
    },
    /// The image has more bytes than this machine can address.
    #[error("a {width}x{height} RGB image is too large to address")]
    TooLarge {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
}

/// Size of an image, checked once: later arithmetic on it does not overflow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Size {
    /// The checked size and the bytes of the image, at most `isize::MAX`.
    pub(super) fn checked(width: u32, height: u32) -> Result<(Size, usize), ResizeError> {
        let too_large = ResizeError::TooLarge { width, height };
        let bytes = u64::from(width) * u64::from(height);
        let bytes = bytes.checked_mul(3).and_then(|bytes| isize::try_from(bytes).ok()).ok_or(too_large)?;
        Ok((Size { width: width as usize, height: height as usize }, bytes as usize))
    }
}

/// The error of a buffer of `bytes` bytes for a `width` x `height` image.
pub(super) fn wrong_length(what: &'static str, bytes: usize, width: u32, height: u32) -> ResizeError {
    let expected = width as usize * height as usize * 3;
    ResizeError::Buffer { what, bytes, expected, width, height }
}
