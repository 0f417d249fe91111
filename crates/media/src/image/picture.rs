//! Opening a picture file, and what it is.

use super::file::ImageFile;
use super::format;
use crate::color::description::Color;
use crate::container;
use crate::container::byte_source::ByteSource;
use crate::error::MediaError;
use crate::info::{MediaInfo, average_fps};
use crate::options::OpenOptions;
use crate::options::limits::check_limit;

/// The picture that the file is; `None` when it is another kind of file.
pub(crate) fn open_picture(
    source: &ByteSource,
    head: &[u8],
    options: &OpenOptions,
) -> Option<Result<ImageFile, MediaError>> {
    let limits = &options.limits;
    let mut tail = [0; 18];
    let read = source.read_some(source.len().saturating_sub(tail.len() as u64), &mut tail).unwrap_or(0);
    if let Some(format) = format::sniff(head, &tail[..read]) {
        let size = check_limit("bytes of a picture file", source.len(), limits.header_bytes);
        let bytes = size.and_then(|()| source.read_all());
        return Some(bytes.and_then(|bytes| ImageFile::open(bytes, format, options)));
    }
    let items = container::picture_items(source, limits).transpose()?;
    Some(items.and_then(|items| ImageFile::heif(source.clone(), items, options)))
}

/// What a picture or an animation is.
pub(crate) fn image_info(file: &ImageFile) -> MediaInfo {
    let frames = file.times.len();
    let duration = file.end.seconds();
    MediaInfo {
        container: file.format_name.into(),
        codec: file.format_name.into(),
        profile: String::new(),
        coded_width: file.coded_size.0,
        coded_height: file.coded_size.1,
        width: file.shown_size.0,
        height: file.shown_size.1,
        display_width: file.shown_size.0,
        display_height: file.shown_size.1,
        sample_aspect: (1, 1),
        mirrored: file.mirrored,
        rotation: file.rotation,
        sampling: String::new(),
        depth: 8,
        color: Color::default(),
        alpha: file.alpha(),
        duration,
        frames,
        fps: average_fps(frames, duration),
        start: 0.0,
        audio_tracks: 0,
        decoder: "image".into(),
        warnings: file.warnings.clone(),
    }
}
