//! Text tracks inside a film.

use serde::{Deserialize, Serialize};

use super::cues::{MAX_CUES, MAX_TEXT, Subtitles};
use super::markup::Markup;
use super::{ass, encoding};
use crate::container::byte_source::ByteSource;
use crate::container::text::{TextCodec, TextTrack};
use crate::error::MediaError;

/// Seconds that a cue stays which does not say how long, unless another one comes.
const UNSTATED: f64 = 5.0;

/// A text track of a film, for people who want to choose one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtitleTrack {
    /// Position among the text tracks of the file, from 0.
    pub number: usize,
    /// What it is written in ("SRT", "ASS", "WebVTT", "tx3g"), or its code where it is not read.
    pub codec: String,
    /// Language, as the file states it.
    pub language: Option<String>,
    /// Name, as the file states it.
    pub name: Option<String>,
    /// Whether the file marks it as default.
    pub default: bool,
    /// Whether it only has what is to be read even by those who understand the film.
    pub forced: bool,
    /// Whether it is read here.
    pub readable: bool,
}

/// Describes the text tracks of a film.
pub(crate) fn describe(tracks: &[TextTrack]) -> Vec<SubtitleTrack> {
    let describe = |(number, track): (usize, &TextTrack)| SubtitleTrack {
        number,
        codec: track.codec.name().to_string(),
        language: track.language.clone(),
        name: track.name.clone(),
        default: track.default,
        forced: track.forced,
        readable: !matches!(track.codec, TextCodec::Other(_)),
    };
    tracks.iter().enumerate().map(describe).collect()
}

/// Reads the cues of a track; times are on the clock of the file.
///
/// # Errors
/// `Unsupported` for a track that is not read here, `Io` when the file cannot be read.
pub(crate) fn read_track(track: &TextTrack, source: &ByteSource) -> Result<Subtitles, MediaError> {
    if let TextCodec::Other(code) = &track.codec {
        return Err(MediaError::Unsupported {
            what: format!("subtitles of the form {code}"),
            remedy: "name a file of SRT, WebVTT or ASS, or another track".into(),
        });
    }
    let mut found = Subtitles::default();
    let starts: Vec<f64> = track.samples.iter().map(|sample| sample.start).collect();
    for (number, sample) in track.samples.iter().enumerate() {
        if number >= MAX_CUES || sample.size as usize > 4 * MAX_TEXT {
            found.skipped += 1;
            continue;
        }
        let Ok(bytes) = track.read(source, number) else {
            found.skipped += 1;
            continue;
        };
        let next = starts.get(number + 1).copied().filter(|&next| next > sample.start);
        let unstated = || next.map_or(sample.start + UNSTATED, |next| next.min(sample.start + UNSTATED));
        let times = Some((sample.start, sample.end.unwrap_or_else(unstated)));
        add(&mut found, &track.codec, times, &bytes);
    }
    Ok(found.finish())
}

/// Adds what a sample holds.
fn add(found: &mut Subtitles, codec: &TextCodec, times: Option<(f64, f64)>, bytes: &[u8]) {
    match codec {
        TextCodec::Srt => found.add(times, &encoding::decode(bytes), Markup::Srt),
        TextCodec::Vtt => found.add(times, &encoding::decode(bytes), Markup::Vtt),
        TextCodec::Ass => {
            let text = encoding::decode(bytes);
            let words = ass::block_text(&text);
            found.add(times.filter(|_| words.is_some()), words.unwrap_or_default(), Markup::Ass);
        }
        TextCodec::WebmVtt => {
            // Identifier and settings, a line each, stand before the words.
            let text = encoding::decode(bytes);
            found.add(times, text.splitn(3, '\n').nth(2).unwrap_or_default(), Markup::Vtt);
        }
        TextCodec::Tx3g => match bytes.split_first_chunk::<2>() {
            Some((length, rest)) => {
                let text = rest.get(..usize::from(u16::from_be_bytes(*length)));
                found.add(times.filter(|_| text.is_some()), &encoding::decode(text.unwrap_or_default()), Markup::Srt);
            }
            None if bytes.is_empty() => {}
            None => found.skipped += 1,
        },
        TextCodec::Wvtt => {
            for payload in crate::container::text::vtt_payloads(bytes) {
                found.add(times, &encoding::decode(payload), Markup::Vtt);
            }
        }
        TextCodec::Other(_) => {}
    }
}
