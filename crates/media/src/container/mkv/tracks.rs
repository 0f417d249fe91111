//! `Info` and `Tracks`: the clock, the video track, its codec, shape, colour and encodings.

use super::super::bytes::bad;
use super::super::{codec_of_code, ratio};
use super::ebml::{children, float, uint};
use crate::MediaError;
use crate::track::{Codec, Colour};

/// What `Info` says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Info {
    /// Nanoseconds a tick.
    pub(super) scale: u64,
    /// Length in ticks.
    pub(super) duration: Option<f64>,
}

/// Reads `Info`. Errors: a number that is too long.
pub(super) fn info(data: &[u8]) -> Result<Info, MediaError> {
    let mut info = Info { scale: 1_000_000, duration: None };
    for (id, body) in children(data) {
        match id {
            0x2a_d7b1 => info.scale = uint(body)?,
            0x4489 => info.duration = Some(float(body)?).filter(|d| d.is_finite() && *d > 0.0),
            _ => {}
        }
    }
    Ok(info)
}

/// The video track as stored.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) codec: Codec,
    pub(super) extradata: Vec<u8>,
    pub(super) length_prefixed: bool,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) sar: (u32, u32),
    pub(super) colour: Colour,
    pub(super) rotation: u16,
    /// Nanoseconds a frame, when said.
    pub(super) frame_ns: Option<u64>,
    /// Bytes stripped from the front of every frame.
    pub(super) stripped: Vec<u8>,
}

/// All tracks: the first enabled video one (or the first), and counts of audio and subtitle tracks.
pub(super) struct Tracks {
    pub(super) video: Entry,
    pub(super) audio: usize,
    pub(super) subs: usize,
}

/// Reads `Tracks`. Errors: no video track, or one that is encrypted or packed.
pub(super) fn tracks(data: &[u8], warnings: &mut Vec<String>) -> Result<Tracks, MediaError> {
    let (mut audio, mut subs) = (0, 0);
    let mut best: Option<(bool, &[u8])> = None;
    for (_, body) in children(data).filter(|c| c.0 == 0xae) {
        let number = |id: u32| children(body).find(|c| c.0 == id).map(|c| uint(c.1)).transpose();
        match number(0x83)? {
            Some(1) => {
                let enabled = number(0xb9)? != Some(0);
                if best.is_none_or(|(have, _)| enabled && !have) {
                    best = Some((enabled, body));
                }
            }
            Some(2) => audio += 1,
            Some(0x11) => subs += 1,
            _ => {}
        }
    }
    let Some((_, body)) = best else {
        return Err(bad("matroska tracks", format!("no video track ({audio} audio, {subs} subtitle)")));
    };
    Ok(Tracks { video: entry(body, warnings)?, audio, subs })
}

fn entry(data: &[u8], warnings: &mut Vec<String>) -> Result<Entry, MediaError> {
    let mut entry = Entry {
        number: 0,
        codec: Codec::Other(String::new()),
        extradata: Vec::new(),
        length_prefixed: false,
        width: 0,
        height: 0,
        sar: (1, 1),
        colour: Colour::default(),
        rotation: 0,
        frame_ns: None,
        stripped: Vec::new(),
    };
    let mut codec_id = String::new();
    for (id, body) in children(data) {
        match id {
            0xd7 => entry.number = uint(body)?,
            0x86 => codec_id = body.iter().take(64).take_while(|&&b| b != 0).map(|&b| b as char).collect(),
            0x63a2 => entry.extradata = body.to_vec(),
            0x23_e383 => entry.frame_ns = Some(uint(body)?).filter(|&n| n > 0),
            0xe0 => video(body, &mut entry, warnings)?,
            0x6d80 => encodings(body, &mut entry)?,
            _ => {}
        }
    }
    set_codec(&mut entry, &codec_id);
    Ok(entry)
}

fn set_codec(entry: &mut Entry, id: &str) {
    entry.codec = match id {
        "V_MPEG4/ISO/AVC" => Codec::H264,
        "V_MPEGH/ISO/HEVC" => Codec::Hevc,
        "V_VP8" => Codec::Vp8,
        "V_VP9" => Codec::Vp9,
        "V_AV1" => Codec::Av1,
        "V_MJPEG" => Codec::Mjpeg,
        "V_MPEG2" => Codec::Mpeg2,
        "V_MPEG4/ISO/SP" | "V_MPEG4/ISO/ASP" | "V_MPEG4/ISO/AP" => Codec::Mpeg4,
        // A BITMAPINFOHEADER: the code is at byte 16, configuration after byte 40.
        "V_MS/VFW/FOURCC" => match entry.extradata.get(16..20) {
            Some(&[a, b, c, d]) => {
                entry.extradata.drain(..40.min(entry.extradata.len()));
                codec_of_code([a, b, c, d])
            }
            _ => Codec::Other(id.into()),
        },
        _ => Codec::Other(id.into()),
    };
    // A start code is no configuration record.
    let data = &entry.extradata;
    let start_code = data.starts_with(&[0, 0, 0, 1]) || data.starts_with(&[0, 0, 1]);
    let record = data.first().is_some_and(|&v| v <= 1) && !start_code;
    entry.length_prefixed = record && matches!(entry.codec, Codec::H264 | Codec::Hevc);
}

fn video(data: &[u8], entry: &mut Entry, warnings: &mut Vec<String>) -> Result<(), MediaError> {
    let small = |body: &[u8]| uint(body).map(|v| u32::try_from(v).unwrap_or(u32::MAX));
    let (mut shown, mut unit, mut cropped) = ((0, 0), 0, false);
    for (id, body) in children(data) {
        match id {
            0xb0 => entry.width = small(body)?,
            0xba => entry.height = small(body)?,
            0x54b0 => shown.0 = small(body)?,
            0x54ba => shown.1 = small(body)?,
            0x54b2 => unit = small(body)?,
            0x54aa | 0x54bb | 0x54cc | 0x54dd => cropped |= uint(body)? != 0,
            0x55b0 => entry.colour = colour(body)?,
            0x7670 => entry.rotation = rotation(body, warnings)?,
            _ => {}
        }
    }
    if cropped {
        warnings.push("the crop that the track asks for is not applied".into());
    }
    // Units 0 (pixels), 1 and 2 (lengths) and 3 (a ratio) all only matter as a ratio; 4 is unknown.
    if shown.0 > 0 && shown.1 > 0 && unit < 4 {
        let (w, h) = (u64::from(entry.width), u64::from(entry.height));
        entry.sar = ratio(u64::from(shown.0).saturating_mul(h), u64::from(shown.1).saturating_mul(w));
    }
    Ok(())
}

fn colour(data: &[u8]) -> Result<Colour, MediaError> {
    let mut colour = Colour::default();
    let code = |body: &[u8]| uint(body).map(|v| u8::try_from(v).ok().filter(|&v| v != 2));
    for (id, body) in children(data) {
        match id {
            0x55b1 => colour.matrix = code(body)?,
            0x55b9 => {
                colour.full_range = match uint(body)? {
                    1 => Some(false),
                    2 => Some(true),
                    _ => None,
                }
            }
            0x55ba => colour.transfer = code(body)?,
            0x55bb => colour.primaries = code(body)?,
            _ => {}
        }
    }
    Ok(colour)
}

/// Clockwise rotation from a projection's roll, when it is a plain quarter turn.
fn rotation(data: &[u8], warnings: &mut Vec<String>) -> Result<u16, MediaError> {
    let mut pose = [0.0f64; 3];
    for (id, body) in children(data) {
        match id {
            0x7673 => pose[0] = float(body)?,
            0x7674 => pose[1] = float(body)?,
            0x7675 => pose[2] = float(body)?,
            _ => {}
        }
    }
    let roll = pose[2].rem_euclid(360.0);
    match [0u16, 90, 180, 270].into_iter().find(|&q| f64::from(q) == roll) {
        // Roll is counter-clockwise.
        Some(quarter) if pose[0] == 0.0 && pose[1] == 0.0 => Ok((360 - quarter) % 360),
        _ => {
            warnings.push(format!("a projection turned by {pose:?} degrees is shown as stored"));
            Ok(0)
        }
    }
}

/// Bytes that may be stripped from the front of frames.
const MOST_STRIPPED: usize = 1024;

/// Content encodings: header stripping is undone, everything else is refused.
fn encodings(data: &[u8], entry: &mut Entry) -> Result<(), MediaError> {
    for (_, encoding) in children(data).filter(|c| c.0 == 0x6240) {
        let mut algorithm = None;
        let mut settings: &[u8] = &[];
        for (id, body) in children(encoding) {
            match id {
                0x5035 => return Err(encrypted()),
                0x5033 if uint(body)? == 1 => return Err(encrypted()),
                0x5034 => {
                    algorithm = Some(0);
                    for (id, body) in children(body) {
                        match id {
                            0x4254 => algorithm = Some(uint(body)?),
                            0x4255 => settings = body,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        match algorithm {
            None => {}
            Some(3) if settings.len() + entry.stripped.len() <= MOST_STRIPPED => {
                entry.stripped = [settings, &entry.stripped].concat()
            }
            Some(n) => {
                return Err(MediaError::Unsupported {
                    what: format!("matroska frames packed with method {n}"),
                    remedy: "rewrite the file with `ffmpeg -i in.mkv -c copy out.mkv`".into(),
                });
            }
        }
    }
    Ok(())
}

/// The error for protected tracks.
pub(super) fn encrypted() -> MediaError {
    MediaError::Unsupported {
        what: "an encrypted matroska track".into(),
        remedy: "decrypt the file first; Zoetrope reads no protected media".into(),
    }
}
