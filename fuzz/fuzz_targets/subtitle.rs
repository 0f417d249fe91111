#![no_main]
//! Bytes as a subtitle file. Whatever they are: no panic, no hang; cues have sensible times, words on one line, and no
//! more of them than the file has bytes (entities are longer than what they stand for, Windows-1252 is shorter than
//! UTF-8 by three at most).

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(found) = zoetrope_media::subtitle::parse(data) else { return };
    let mut words = 0;
    for pair in found.cues.windows(2) {
        assert!(pair[0].start <= pair[1].start);
    }
    for cue in &found.cues {
        assert!(cue.start.is_finite() && cue.end.is_finite() && 0.0 <= cue.start && cue.start <= cue.end);
        assert!(!cue.text.is_empty() && !cue.text.chars().any(|c| c.is_control()));
        words += cue.text.len();
    }
    assert!(words <= 3 * data.len());
});
