//! The safe door to the AV1 decoder `rav1d`, whose public interface is that of a C library.
//!
//! `rav1d` may end the process on damaged input (a panic inside a C function), which no caller can catch: use this in a
//! process of its own (`zoetrope_media::child`).

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use rav1d::include::dav1d::data::Dav1dData;
use rav1d::include::dav1d::dav1d::{Dav1dContext, Dav1dSettings};
use rav1d::include::dav1d::picture::Dav1dPicture;
use rav1d::src::lib::{
    dav1d_close, dav1d_data_create, dav1d_data_unref, dav1d_default_settings, dav1d_get_picture, dav1d_open,
    dav1d_picture_unref, dav1d_send_data,
};

/// A decoded AV1 picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Av1Picture {
    /// The number given with the data it came from.
    pub tag: i64,
    /// Luma columns.
    pub width: u32,
    /// Luma rows.
    pub height: u32,
    /// Bits a sample: 8, 10 or 12.
    pub depth: u8,
    /// Chroma: 0 none, 1 half columns and rows, 2 half columns, 3 full.
    pub layout: u8,
    /// Matrix, primaries and transfer codes of the sequence header (2 is unspecified).
    pub codes: [u8; 3],
    /// Whether samples use the full range.
    pub full_range: bool,
    /// Luma, blue difference and red difference, dense rows, little-endian words above 8 bits.
    pub planes: [Vec<u8>; 3],
}

/// An error number of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AV1 decoder error {0}")]
pub struct Av1Error(pub i32);

impl Av1Error {
    /// Whether the decoder wants the other call first (data or pictures).
    fn again(self) -> bool {
        std::io::Error::from_raw_os_error(-self.0).kind() == std::io::ErrorKind::WouldBlock
    }
}

/// An AV1 decoder on the calling thread.
pub struct Av1Decoder {
    context: Option<Dav1dContext>,
}

impl Av1Decoder {
    /// A decoder that refuses frames of more than `pixels` pixels (0: no bound).
    ///
    /// # Errors
    /// When the decoder cannot be set up.
    pub fn new(pixels: u32) -> Result<Self, Av1Error> {
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        // SAFETY: the pointer is valid for writes; the call initialises what it points to.
        let mut settings = unsafe {
            dav1d_default_settings(NonNull::from(&mut settings).cast());
            settings.assume_init()
        };
        settings.n_threads = 1;
        settings.max_frame_delay = 1;
        settings.frame_size_limit = pixels;
        let mut context = None;
        // SAFETY: both pointers come from live references.
        check(unsafe { dav1d_open(Some(NonNull::from(&mut context)), Some(NonNull::from(&mut settings))) }.0)?;
        Ok(Av1Decoder { context })
    }

    /// Feeds one temporal unit; pictures that come out go to `take`.
    ///
    /// # Errors
    /// What the decoder says about the data; it can go on with the next unit.
    pub fn push(&mut self, data: &[u8], tag: i64, mut take: impl FnMut(Av1Picture)) -> Result<(), Av1Error> {
        if data.is_empty() {
            return Ok(());
        }
        let mut unit = Dav1dData::default();
        // SAFETY: the pointer comes from a live reference.
        let room = unsafe { dav1d_data_create(Some(NonNull::from(&mut unit)), data.len()) };
        if room.is_null() {
            return Err(Av1Error(-12));
        }
        // SAFETY: `room` is the start of a fresh allocation of `data.len()` bytes.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), room, data.len()) };
        unit.m.timestamp = tag;
        let result = self.feed(&mut unit, &mut take);
        // SAFETY: the pointer comes from a live reference; what was consumed is empty and not freed twice.
        unsafe { dav1d_data_unref(Some(NonNull::from(&mut unit))) };
        result
    }

    fn feed(&mut self, unit: &mut Dav1dData, take: &mut impl FnMut(Av1Picture)) -> Result<(), Av1Error> {
        while unit.sz > 0 {
            // SAFETY: the context is open until drop; the pointer comes from a live reference.
            let sent = check(unsafe { dav1d_send_data(self.context, Some(NonNull::from(&mut *unit))) }.0);
            let got = self.pictures(take);
            match sent {
                Err(error) if !error.again() => return Err(error),
                // Neither data taken nor a picture given would be no progress.
                Err(error) if got? == 0 => return Err(error),
                _ => {}
            }
        }
        self.pictures(take).map(|_| ())
    }

    /// Takes pictures until there is none; their number.
    fn pictures(&mut self, take: &mut impl FnMut(Av1Picture)) -> Result<usize, Av1Error> {
        let mut count = 0;
        loop {
            let mut picture = Dav1dPicture::default();
            // SAFETY: the context is open until drop; the pointer comes from a live reference.
            match check(unsafe { dav1d_get_picture(self.context, Some(NonNull::from(&mut picture))) }.0) {
                Ok(()) => take(copy(&picture)),
                Err(error) if error.again() => return Ok(count),
                Err(error) => return Err(error),
            }
            // SAFETY: the pointer comes from a live reference to a picture that the decoder filled.
            unsafe { dav1d_picture_unref(Some(NonNull::from(&mut picture))) };
            count += 1;
        }
    }

    /// Gives out what is still held.
    ///
    /// # Errors
    /// What the decoder says.
    pub fn finish(&mut self, mut take: impl FnMut(Av1Picture)) -> Result<(), Av1Error> {
        self.pictures(&mut take).map(|_| ())
    }
}

impl Drop for Av1Decoder {
    fn drop(&mut self) {
        // SAFETY: the context came from `dav1d_open` and is closed once.
        unsafe { dav1d_close(Some(NonNull::from(&mut self.context))) };
    }
}

fn check(result: i32) -> Result<(), Av1Error> {
    if result < 0 { Err(Av1Error(result)) } else { Ok(()) }
}

fn copy(picture: &Dav1dPicture) -> Av1Picture {
    let (width, height) = (picture.p.w.max(0) as usize, picture.p.h.max(0) as usize);
    let layout = picture.p.layout.min(3) as u8;
    let bytes = if picture.p.bpc > 8 { 2 } else { 1 };
    let chroma_width = if matches!(layout, 1 | 2) { width.div_ceil(2) } else { width };
    let chroma_height = if layout == 1 { height.div_ceil(2) } else { height };
    let plane = |index: usize| {
        let (columns, rows) = if index == 0 { (width, height) } else { (chroma_width, chroma_height) };
        let mut out = Vec::new();
        if let (Some(data), true) = (picture.data[index], index == 0 || layout > 0) {
            let stride = picture.stride[index.min(1)];
            out.reserve_exact(columns * rows * bytes);
            for row in 0..rows {
                // SAFETY: the decoder's plane holds `rows` rows of at least `columns` samples, `stride` bytes apart.
                let row = unsafe {
                    let start = data.as_ptr().cast::<u8>().offset(row as isize * stride);
                    std::slice::from_raw_parts(start, columns * bytes)
                };
                out.extend_from_slice(row);
            }
        }
        out
    };
    // SAFETY: a picture that the decoder gave out points to its sequence header, alive as long as the picture.
    let header = picture.seq_hdr.map(|header| unsafe { header.as_ref() });
    let codes = header.map_or([2; 3], |h| [h.mtrx as u8, h.pri as u8, h.trc as u8]);
    Av1Picture {
        tag: picture.m.timestamp,
        width: width as u32,
        height: height as u32,
        depth: picture.p.bpc.clamp(8, 16) as u8,
        layout,
        codes,
        full_range: header.is_some_and(|h| h.color_range != 0),
        planes: [plane(0), plane(1), plane(2)],
    }
}
