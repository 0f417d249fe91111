//! Safe interface to the AV1 decoder `rav1d`, whose public functions are those of the C library dav1d.
//!
//! `rav1d` may abort the process on damaged input: a panic inside a C function cannot be caught. Use this decoder only
//! in a child process.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use rav1d::include::dav1d::data::Dav1dData;
use rav1d::include::dav1d::dav1d::{Dav1dContext, Dav1dSettings};
use rav1d::include::dav1d::picture::Dav1dPicture;
use rav1d::src::lib::{
    dav1d_close, dav1d_data_create, dav1d_data_unref, dav1d_default_settings, dav1d_get_picture, dav1d_open,
    dav1d_picture_unref, dav1d_send_data,
};

/// One decoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Av1Frame {
    /// The tag that [`Av1Decoder::push`] was given with the frame's data.
    pub tag: i64,
    /// Luma columns.
    pub width: u32,
    /// Luma rows.
    pub height: u32,
    /// Bits a sample: 8, 10 or 12.
    pub depth: u8,
    /// Chroma subsampling: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub layout: u8,
    /// Matrix coefficients, color primaries and transfer characteristics of the sequence header, as code points of
    /// ITU-T H.273 (2: unspecified).
    pub codes: [u8; 3],
    /// Whether samples use the full range.
    pub full_range: bool,
    /// Planes Y, Cb and Cr, rows without padding; one byte a sample, or two (little-endian) above 8 bits.
    pub planes: [Vec<u8>; 3],
}

/// A negative error number (`errno`) of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AV1 decoder error {0}")]
pub struct Av1Error(pub i32);

impl Av1Error {
    /// Whether the decoder asks for the other call first: take frames before more data, or give data before frames.
    fn again(self) -> bool {
        std::io::Error::from_raw_os_error(-self.0).kind() == std::io::ErrorKind::WouldBlock
    }
}

/// An AV1 decoder. On several threads it works on that many frames at a time, so frames come out later.
pub struct Av1Decoder {
    context: Option<Dav1dContext>,
    threads: i32,
}

// SAFETY: the handle is a counted reference to a `Rav1dContext`, which is `Send` and `Sync`; only its form for C hides
// that. It is not cloned, and every use takes `&mut self`.
unsafe impl Send for Av1Decoder {}

impl Av1Decoder {
    /// A decoder on `threads` threads (at least 1) that refuses frames of more than `pixels` pixels (0: no limit).
    ///
    /// # Errors
    /// When the decoder cannot be opened.
    pub fn new(pixels: u32, threads: u32) -> Result<Self, Av1Error> {
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        // SAFETY: the pointer is valid for writes; the call initializes what it points to.
        let mut settings = unsafe {
            dav1d_default_settings(NonNull::from(&mut settings).cast());
            settings.assume_init()
        };
        // The library's own limit is 256.
        let threads = threads.clamp(1, 256) as i32;
        (settings.n_threads, settings.max_frame_delay) = (threads, threads);
        settings.frame_size_limit = pixels;
        let mut context = None;
        // SAFETY: both pointers come from live references.
        check(unsafe { dav1d_open(Some(NonNull::from(&mut context)), Some(NonNull::from(&mut settings))) }.0)?;
        Ok(Av1Decoder { context, threads })
    }

    /// Decodes one temporal unit and hands every frame that comes out to `take`.
    ///
    /// # Errors
    /// The decoder's error about this unit; decoding may go on with the next one.
    pub fn push(&mut self, data: &[u8], tag: i64, mut take: impl FnMut(Av1Frame)) -> Result<(), Av1Error> {
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
        // SAFETY: the pointer comes from a live reference; consumed data is empty and not freed twice.
        unsafe { dav1d_data_unref(Some(NonNull::from(&mut unit))) };
        result
    }

    fn feed(&mut self, unit: &mut Dav1dData, take: &mut impl FnMut(Av1Frame)) -> Result<(), Av1Error> {
        while unit.sz > 0 {
            // SAFETY: the context is open until drop; the pointer comes from a live reference.
            let sent = check(unsafe { dav1d_send_data(self.context, Some(NonNull::from(&mut *unit))) }.0);
            let got = self.next(take);
            match sent {
                Err(error) if !error.again() => return Err(error),
                // Without consumed data and without a frame this loop would never end.
                Err(error) if !got? => return Err(error),
                _ => {}
            }
        }
        if self.threads == 1 { self.finish(take) } else { self.next(take).map(|_| ()) }
    }

    /// Hands the next finished frame to `take`; false when there is none.
    ///
    /// On several threads the second call without data in between waits for the frames being decoded.
    fn next(&mut self, take: &mut impl FnMut(Av1Frame)) -> Result<bool, Av1Error> {
        let mut picture = Dav1dPicture::default();
        // SAFETY: the context is open until drop; the pointer comes from a live reference.
        match check(unsafe { dav1d_get_picture(self.context, Some(NonNull::from(&mut picture))) }.0) {
            Ok(()) => take(copy(&picture)),
            Err(error) if error.again() => return Ok(false),
            Err(error) => return Err(error),
        }
        // SAFETY: the pointer comes from a live reference to a picture that the decoder filled.
        unsafe { dav1d_picture_unref(Some(NonNull::from(&mut picture))) };
        Ok(true)
    }

    /// Hands the frames that the decoder still holds to `take`; call it after the last unit.
    ///
    /// # Errors
    /// The decoder's error.
    pub fn finish(&mut self, mut take: impl FnMut(Av1Frame)) -> Result<(), Av1Error> {
        while self.next(&mut take)? {}
        Ok(())
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

fn copy(picture: &Dav1dPicture) -> Av1Frame {
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
    Av1Frame {
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
