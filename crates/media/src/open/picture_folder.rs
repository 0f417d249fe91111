//! A folder of pictures as a clip: the frames of a video that someone has taken apart.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use crate::clip::{Backend, Clip};
use crate::error::{MediaError, malformed};
use crate::frame::Time;
use crate::image::folder::PictureFolder;
use crate::image::picture::image_info;
use crate::info::{MediaInfo, average_fps};
use crate::options::OpenOptions;
use crate::options::limits::check_limit;

/// Ticks a second of times that come from names.
const NAME_SCALE: u32 = 1_000_000;
/// Ticks of a frame whose time comes from a rate.
const RATE_TICKS: i64 = 1_000;
/// Files that systems put beside pictures unasked; names that begin with a dot are passed over as well.
const LITTER: [&str; 2] = ["Thumbs.db", "desktop.ini"];

/// Opens the folder at `path`. The first bytes of all files are looked at, no pixel is decoded.
///
/// # Errors
/// `Malformed` for a folder that is empty or holds anything but pictures; `Limit` for too many; `Io`.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Clip, MediaError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") || LITTER.iter().any(|litter| name == *litter) {
            continue;
        }
        if entry.path().is_dir() {
            let text = format!("{} is a folder, and all in it must be pictures", name.display());
            return Err(malformed("folder of frames", text));
        }
        check_limit("pictures of a folder", names.len() as u64 + 1, options.limits.samples)?;
        names.push(name);
    }
    if names.is_empty() {
        return Err(malformed("folder of frames", "it holds no picture"));
    }
    names.sort_by(|a, b| natural(a.as_encoded_bytes(), b.as_encoded_bytes()));
    let times = times(&mut names, options)?;
    let end = end(&times);
    let folder = PictureFolder { folder: path.to_path_buf(), names, options: options.clone() };
    let first = folder.picture(0)?;
    for index in 1..folder.names.len() {
        folder.check(index)?;
    }
    let (frames, start) = (times.len(), times.first().map_or(0.0, |time| time.seconds()));
    let duration = end - start;
    let info = MediaInfo {
        container: "folder".into(),
        duration,
        frames,
        fps: average_fps(frames, duration),
        start,
        ..image_info(&first)
    };
    Ok(Clip {
        info,
        times: times.into(),
        end,
        tracks: Arc::default(),
        texts: None,
        still: false,
        threads: options.threads,
        backend: Backend::Folder(Arc::new(folder)),
    })
}

/// When the pictures are shown: at the rate that was asked for; else at the seconds that all names end with
/// (`frame_00012.50s.png`), by which they are sorted then; else one a second.
fn times(names: &mut Vec<OsString>, options: &OpenOptions) -> Result<Vec<Time>, MediaError> {
    let stated: Option<Vec<i64>> = names.iter().map(|name| microseconds(name)).collect();
    if let (None, Some(stated)) = (options.frame_rate, stated) {
        let mut timed: Vec<_> = stated.into_iter().zip(names.drain(..)).collect();
        timed.sort_by_key(|(ticks, _)| *ticks);
        if let Some(pair) = timed.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (one, other) = (pair[0].1.display(), pair[1].1.display());
            return Err(malformed("folder of frames", format!("{one} and {other} have the same time")));
        }
        let (ticks, sorted): (Vec<i64>, Vec<_>) = timed.into_iter().unzip();
        *names = sorted;
        return Ok(ticks.into_iter().map(|ticks| Time::new(ticks, NAME_SCALE)).collect());
    }
    let rate = options.frame_rate.unwrap_or(1.0);
    let scale = (rate * RATE_TICKS as f64).round();
    if !(1.0..=f64::from(u32::MAX)).contains(&scale) {
        return Err(MediaError::Caller(format!("{rate} frames a second is out of range (0.001 to 4000000)")));
    }
    Ok((0..names.len() as i64).map(|n| Time::new(n * RATE_TICKS, scale as u32)).collect())
}

/// The last frame is shown as long as the one before it; a single one for a second.
fn end(times: &[Time]) -> f64 {
    let end = match times {
        [.., before, last] => Time::new(2 * last.ticks - before.ticks, last.scale),
        [only] if only.scale == NAME_SCALE => Time::new(only.ticks + i64::from(NAME_SCALE), NAME_SCALE),
        [only] => Time::new(RATE_TICKS, only.scale),
        [] => Time::new(0, 1),
    };
    end.seconds()
}

/// The seconds that a name ends with, after a `_`, a `-` or a space: 12.5 in `a_00012.50s.png`.
fn microseconds(name: &OsStr) -> Option<i64> {
    let stem = Path::new(name).file_stem()?.to_str()?.strip_suffix('s')?;
    let begin = stem.rfind(['_', '-', ' ']).map_or(0, |at| at + 1);
    let (whole, fraction) = stem[begin..].split_once('.').unwrap_or((&stem[begin..], ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(i64::from(NAME_SCALE))?.checked_add(fraction)
}

/// Order of names in which runs of digits are compared as numbers.
fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (n, m) = (take_number(&mut left), take_number(&mut right));
            let order = n.len().cmp(&m.len()).then_with(|| n.cmp(m));
            if order.is_ne() {
                return order;
            }
        } else if x == y {
            (left, right) = (&left[1..], &right[1..]);
        } else {
            return x.cmp(y);
        }
    }
    // Names that differ in zeros before a number only are still two names.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The digits at the front without zeros before them; `text` goes on after them.
fn take_number<'t>(text: &mut &'t [u8]) -> &'t [u8] {
    let length = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = text.split_at(length);
    *text = rest;
    let zeros = number.iter().take_while(|&&b| b == b'0').count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_compared_as_numbers() {
        let mut names =
            ["f10.png", "f2.png", "f1.png", "e3.png", "f002.png", "f2b.png", "f99999999999999999999999.png"];
        names.sort_by(|a, b| natural(a.as_bytes(), b.as_bytes()));
        let wanted = ["e3.png", "f1.png", "f002.png", "f2.png", "f2b.png", "f10.png", "f99999999999999999999999.png"];
        assert_eq!(names, wanted);
    }

    #[test]
    fn seconds_at_the_end_of_names_are_read() {
        let cases = [
            ("frame_00012.50s.png", Some(12_500_000)),
            ("3s.jpg", Some(3_000_000)),
            ("a-b-0.040s.webp", Some(40_000)),
            ("frames.png", None),
            ("f12.5s.png", None),
            ("f_1.2.3s.png", None),
            ("f_.5s.png", None),
            ("f_99999999999999999999s.png", None),
        ];
        for (name, wanted) in cases {
            assert_eq!(microseconds(OsStr::new(name)), wanted, "{name}");
        }
    }
}
