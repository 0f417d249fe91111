//! What holds for every container whatever the bytes: no panic, no hang, no table beyond the limits, and a listed
//! sample reads as many bytes as the list says.

use zoetrope_media::container;
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::track::Container;
use zoetrope_media::{Limits, MediaError};

/// Reads `data` as `kind` and checks what came out.
pub fn check(data: &[u8], kind: Container) {
    let limits = Limits { samples: 20_000, sample_bytes: 1 << 20, header_bytes: 4 << 20, ..Limits::default() };
    let source = ByteSource::from_bytes(data);
    let _ = container::sniff(&source);
    let movie = match container::read(&source, kind, &limits) {
        Ok(movie) => movie,
        Err(MediaError::Bug(text)) => panic!("{text}"),
        Err(_) => return,
    };
    let track = &movie.track;
    assert!(!track.samples.is_empty() && track.samples.len() as u64 <= limits.samples);
    assert!(track.timescale > 0 && track.sar.is_none_or(|sar| sar.0 > 0 && sar.1 > 0));
    assert!(track.orientation.rotation % 90 == 0);
    let shown = track.samples.iter().filter(|s| s.shown).map(|s| s.pts).min();
    assert_eq!(shown, Some(movie.start));
    let step = track.samples.len() / 16 + 1;
    for (index, sample) in track.samples.iter().enumerate().step_by(step) {
        assert!(u64::from(sample.size) <= limits.sample_bytes);
        match movie.read_sample(&source, index) {
            Ok(bytes) => assert!(bytes.len() as u64 <= limits.sample_bytes + limits.header_bytes),
            // Compressed samples need not decompress.
            Err(MediaError::Malformed { .. }) if kind == Container::Matroska => {}
            Err(error) => panic!("a listed sample lies inside the file: {error}"),
        }
    }
}
