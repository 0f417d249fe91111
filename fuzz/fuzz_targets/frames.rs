//! A whole file through to pictures: any bytes that a container reader takes give frames within the limits or a typed
//! error, whatever the decoders make of them.
//!
//! Decoder crates may refuse with a panic, which is turned into an error. This target looks for excess memory and time,
//! for panics of our own code, and for answers that contradict themselves. AV1 needs a process of its own and is absent.
#![no_main]

use std::sync::Once;

use zoetrope_media::{DecoderChoice, Limits, OpenOptions, open_bytes};

/// Frames taken of each file.
const FRAMES: usize = 8;

/// libFuzzer's own hook aborts at every panic, also at a caught one. Without the hook, only an uncaught panic aborts.
static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let limits = Limits {
        pixels: 1 << 16,
        picture_bytes: 3 << 16,
        samples: 2_000,
        sample_bytes: 1 << 18,
        header_bytes: 1 << 20,
        ..Limits::default()
    };
    let options = OpenOptions { limits, threads: 1, decoder: DecoderChoice::Embedded, ..OpenOptions::default() };
    let Ok(clip) = open_bytes("fuzz", data.to_vec(), &options) else { return };
    let times = clip.times();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "times go back");
    assert!(clip.end().is_finite() && clip.end() >= times[times.len() - 1].seconds(), "the end is before the last frame");
    assert!(u64::from(clip.width()) * u64::from(clip.height()) <= 1 << 16, "over the pixel limit");
    let step = times.len().div_ceil(FRAMES);
    let indices: Vec<usize> = (0..times.len()).step_by(step).collect();
    let mut frames = clip.frames(&indices).expect("indices are in range and ascending");
    let mut given = 0;
    for frame in &mut frames {
        let Ok(frame) = frame else { return };
        given += 1;
        let pixels = u64::from(frame.image.width) * u64::from(frame.image.height);
        assert!(pixels <= 1 << 16, "over the pixel limit");
        assert_eq!(frame.image.data.len() as u64, 3 * pixels);
    }
    assert_eq!(given + frames.lost(), indices.len(), "frames that are neither given nor lost");
});
