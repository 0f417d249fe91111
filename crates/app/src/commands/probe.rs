//! `zoetrope probe MEDIA...`: what a media file is, and what is read of it.

use std::fmt::Write;

use serde::Serialize;
use zoetrope_engine::EngineError;
use zoetrope_media::subtitle::{self, SubtitleTrack};
use zoetrope_media::{MediaInfo, OpenOptions, TrackInfo, TrackKind, open};

use super::request::limits;
use crate::cli::{Common, ProbeArgs};
use crate::failure::Failure;
use crate::output;

/// One file.
#[derive(Serialize)]
struct ProbedFile {
    file: String,
    #[serde(flatten)]
    info: MediaInfo,
    tracks: Vec<TrackInfo>,
    /// Text tracks inside the film.
    subtitle_tracks: Vec<SubtitleTrack>,
    /// Subtitle files beside the film.
    subtitle_files: Vec<String>,
}

/// Prints what the files are.
pub(crate) fn run(args: &ProbeArgs, common: &Common) -> Result<(), Failure> {
    let options = OpenOptions { track: args.track, ..limits(common).files };
    let files = args.files.iter().map(|file| {
        let name = file.display().to_string();
        match open(file, &options) {
            Ok(clip) => {
                let beside = if clip.is_still() { Vec::new() } else { subtitle::beside(file) };
                Ok(ProbedFile {
                    file: name,
                    info: clip.info().clone(),
                    tracks: clip.tracks(),
                    subtitle_tracks: clip.subtitle_tracks(),
                    subtitle_files: beside.iter().map(|file| file.display().to_string()).collect(),
                })
            }
            Err(error) => Err(EngineError::Media { name, error }),
        }
    });
    let files = files.collect::<Result<Vec<_>, EngineError>>()?;
    if common.json {
        return output::json(&serde_json::json!({ "files": files }));
    }
    let mut text = String::new();
    files.iter().for_each(|file| describe(&mut text, file));
    Ok(output::text(&text)?)
}

fn describe(text: &mut String, file: &ProbedFile) {
    let ProbedFile { file, info, tracks, subtitle_tracks, subtitle_files } = file;
    // Writing to a string does not fail.
    let _ = writeln!(text, "{file}");
    let profile = if info.profile.is_empty() { String::new() } else { format!(" {}", info.profile) };
    let _ = writeln!(text, "  {}: {}{profile}, decoded by {}", info.container, info.codec, info.decoder);
    let _ = writeln!(text, "  shown as {}x{}{}", info.width, info.height, geometry(info));
    if info.duration > 0.0 {
        let (frames, fps, duration) = (info.frames, info.fps, info.duration);
        let _ = writeln!(text, "  {frames} frames in {duration:.3} s ({fps:.3} a second on average)");
    }
    if info.start != 0.0 {
        let _ = writeln!(text, "  the file's own clock begins at {:.3} s", info.start);
    }
    for track in tracks.iter().filter(|_| tracks.len() > 1) {
        let _ = writeln!(text, "  {}", line(track));
    }
    for track in subtitle_tracks {
        let _ = writeln!(text, "  {}", subtitle_line(track));
    }
    for file in subtitle_files {
        let _ = writeln!(text, "  subtitles beside it: {file}");
    }
    for warning in &info.warnings {
        let _ = writeln!(text, "  warning: {warning}");
    }
}

/// What happens to the coded picture before it is shown.
fn geometry(info: &MediaInfo) -> String {
    let mut words = String::new();
    if (info.coded_width, info.coded_height) != (info.width, info.height) {
        let _ = write!(words, ", coded as {}x{}", info.coded_width, info.coded_height);
    }
    if info.mirrored {
        words += ", mirrored";
    }
    if info.rotation > 0 {
        let _ = write!(words, ", turned by {} degrees", info.rotation);
    }
    if info.sample_aspect != (1, 1) {
        let (width, height) = (info.display_width, info.display_height);
        let _ = write!(words, ", players show {width}x{height} (pixels are not square)");
    }
    words
}

fn subtitle_line(track: &SubtitleTrack) -> String {
    let mut words = format!("subtitles track:{}: {}", track.number, track.codec);
    for stated in [&track.language, &track.name].into_iter().flatten() {
        let _ = write!(words, ", {stated}");
    }
    let marks = [(track.default, ", default"), (track.forced, ", forced"), (!track.readable, ", not read here")];
    words.extend(marks.iter().filter(|mark| mark.0).map(|mark| mark.1));
    words
}

fn line(track: &TrackInfo) -> String {
    let mut words = format!("track {}: {}", track.number, track.codec);
    if track.width > 0 {
        let _ = write!(words, " {}x{}", track.width, track.height);
    }
    if let Some(frames) = track.frames {
        let _ = write!(words, ", {frames} frames");
    }
    if let Some(duration) = track.duration {
        let _ = write!(words, ", {duration:.3} s");
    }
    if track.kind == TrackKind::Picture {
        words += ", a picture";
    }
    if track.default {
        words += ", default";
    }
    if track.used { words + ", used" } else { words }
}
