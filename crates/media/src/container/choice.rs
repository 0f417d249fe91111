//! The choice among the video tracks of a file, the same for all containers.

use super::track::{Codec, TrackSummary};
use crate::error::{MediaError, malformed};

/// Which track is wanted.
pub struct TrackChoice<'a> {
    /// A position among the video tracks of the file; the choice is free when `None`.
    pub forced: Option<usize>,
    /// Whether there is a decoder for a codec. Tracks with one are preferred.
    pub decodable: &'a dyn Fn(&Codec) -> bool,
}

impl Default for TrackChoice<'_> {
    /// A free choice, every codec alike.
    fn default() -> Self {
        TrackChoice { forced: None, decodable: &|_| true }
    }
}

/// Position of the track to read.
///
/// Preferred is, in this order: a moving picture over a cover, a chapter image or a single frame; a track that can be
/// decoded; one that the file marks as default; the one with more frames; the larger one; the first one.
///
/// # Errors
/// `Caller` for a forced track that is not there, `Malformed` when there is none at all.
pub(super) fn choose(tracks: &[TrackSummary], choice: &TrackChoice<'_>) -> Result<usize, MediaError> {
    if let Some(forced) = choice.forced {
        let missing = || MediaError::Caller(format!("video track {forced} wanted, {} there", count(tracks.len())));
        return if forced < tracks.len() { Ok(forced) } else { Err(missing()) };
    }
    let rank = |track: &TrackSummary| {
        let moving = !track.picture && track.frames != Some(1);
        let decodable = track.readable && (choice.decodable)(&track.codec);
        let pixels = u64::from(track.width) * u64::from(track.height);
        (moving, decodable, track.default, track.frames.unwrap_or(0), pixels)
    };
    // Of equals, `max_by_key` gives the last: the first one in reverse.
    let best = tracks.iter().enumerate().rev().max_by_key(|(_, track)| rank(track));
    best.map(|(number, _)| number).ok_or_else(|| malformed("file", "no video track"))
}

/// Says which track was taken when there was a choice between moving pictures.
pub(super) fn warning(tracks: &[TrackSummary], chosen: usize) -> Option<String> {
    let others = tracks.iter().enumerate().filter(|(i, t)| *i != chosen && !t.picture && t.frames != Some(1));
    let others: Vec<String> = others.map(|(i, t)| format!("{i} ({})", words(t))).take(8).collect();
    let taken = tracks.get(chosen).filter(|_| !others.is_empty())?;
    Some(format!("video track {chosen} ({}) is read, not {}", words(taken), others.join(", ")))
}

fn words(track: &TrackSummary) -> String {
    let mut words = track.codec.name().to_string();
    if track.width > 0 {
        words += &format!(", {}x{}", track.width, track.height);
    }
    if let Some(frames) = track.frames {
        words += &format!(", {frames} frames");
    }
    words
}

fn count(tracks: usize) -> String {
    if tracks == 1 { "1 is".into() } else { format!("{tracks} are") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(codec: Codec, width: u32, frames: u64) -> TrackSummary {
        TrackSummary { codec, width, height: width, frames: Some(frames), ..TrackSummary::default() }
    }

    fn chosen(tracks: &[TrackSummary]) -> usize {
        let decodable = |codec: &Codec| *codec == Codec::H264;
        choose(tracks, &TrackChoice { forced: None, decodable: &decodable }).unwrap()
    }

    #[test]
    fn each_reason_beats_those_after_it() {
        let plain = track(Codec::H264, 100, 40);
        let poster = track(Codec::H264, 2000, 1);
        let cover = TrackSummary { picture: true, ..track(Codec::H264, 2000, 50) };
        let foreign = track(Codec::Mpeg4, 2000, 400);
        let other = TrackSummary { default: false, ..track(Codec::H264, 2000, 400) };
        let protected = TrackSummary { readable: false, ..track(Codec::H264, 2000, 400) };
        for worse in [poster, cover.clone(), foreign.clone(), other, protected, track(Codec::H264, 2000, 39)] {
            assert_eq!(chosen(&[worse.clone(), plain.clone()]), 1, "{worse:?}");
            assert_eq!(chosen(&[plain.clone(), worse.clone()]), 0, "{worse:?}");
        }
        assert_eq!(chosen(&[cover, foreign]), 1, "a film without a decoder here is still the film");
        assert_eq!(chosen(&[plain.clone(), track(Codec::H264, 200, 40)]), 1);
        assert_eq!(chosen(&[plain.clone(), plain]), 0);
    }

    #[test]
    fn a_forced_track_is_taken_or_missing() {
        let tracks = [track(Codec::H264, 100, 40), track(Codec::Mpeg4, 10, 1)];
        let force = |forced| choose(&tracks, &TrackChoice { forced: Some(forced), ..TrackChoice::default() });
        assert_eq!(force(1).unwrap(), 1);
        assert_eq!(force(2).unwrap_err().to_string(), "video track 2 wanted, 2 are there");
        assert!(choose(&[], &TrackChoice::default()).is_err());
    }

    #[test]
    fn only_a_real_choice_is_told() {
        let (film, poster) = (track(Codec::H264, 100, 40), track(Codec::Mjpeg, 100, 1));
        assert_eq!(warning(&[poster, film.clone()], 1), None);
        let text = warning(&[track(Codec::Vp9, 80, 20), film], 1);
        let expected = "video track 1 (H.264, 100x100, 40 frames) is read, not 0 (VP9, 80x80, 20 frames)";
        assert_eq!(text.as_deref(), Some(expected));
    }
}
