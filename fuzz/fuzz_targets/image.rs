//! Image files: any bytes give frames within the limits or a typed error.
//!
//! Decoder crates may refuse with a panic, which is turned into an error. This target looks for excess memory and time,
//! and for panics of our own code.
#![no_main]

use std::sync::Once;

use zoetrope_media::{DecoderChoice, Limits, OpenOptions, open_bytes};

const HEADS: [&[u8]; 4] = [&[0xff, 0xd8, 0xff], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF"];

/// libFuzzer's own hook aborts at every panic, also at a caught one. Without the hook, only an uncaught panic aborts.
static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    if !HEADS.iter().any(|head| data.starts_with(head)) {
        return;
    }
    let limits = Limits { pixels: 1 << 18, picture_bytes: 3 << 18, samples: 64, header_bytes: 1 << 20, ..Limits::default() };
    let options = OpenOptions { limits, threads: 1, decoder: DecoderChoice::Embedded, ..OpenOptions::default() };
    let Ok(clip) = open_bytes("fuzz", data.to_vec(), &options) else { return };
    let times = clip.times();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "times go back");
    assert!(u64::from(clip.width()) * u64::from(clip.height()) <= 1 << 18, "over the pixel limit");
    let indices: Vec<usize> = (0..times.len()).collect();
    for frame in clip.frames(&indices).into_iter().flatten() {
        let Ok(frame) = frame else { break };
        assert_eq!((frame.image.width, frame.image.height), (clip.width(), clip.height()));
        assert_eq!(frame.image.data.len(), clip.width() as usize * clip.height() as usize * 3);
    }
});
