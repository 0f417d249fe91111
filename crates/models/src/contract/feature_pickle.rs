//! Features of films as their authors published them: a pickled dict of `feats`, an array `[F, R, E]` of the rows of
//! each frame, and `inputs`, a text of one `<image>` for each frame, each followed by the subtitles of that frame.
//!
//! Legend: F frames, R feature rows of a frame, E encoder width.

use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor};
use zoetrope_media::Time;

use crate::contract::features::Features;
use crate::contract::media_plan::{Caption, MediaMetadata};
use crate::error::{ModelError, ModelResult};
use crate::weights::PickledArrays;

/// Names in the dict, and what stands for a frame in the text.
const ROWS: &str = "feats";
const WORDS: &str = "inputs";
const FRAME: &str = "<image>";

/// Most frames: 36 hours at one frame per second.
const FRAMES: usize = 1 << 17;

/// A mapped file of features. It is read some frames at a time, however large it is.
pub struct FeaturePickle {
    file: PickledArrays,
    shape: [usize; 3],
    /// The words of each frame.
    words: Vec<String>,
}

impl FeaturePickle {
    /// Maps the file at `path`; no features are read. Whatever else than numbers and texts it asks for is refused.
    ///
    /// # Errors
    /// [`ModelError::File`] when it is damaged, or its frames are not as many as the text says;
    /// [`ModelError::Unsupported`] when it asks for code or holds another type; [`ModelError::Limit`] for too many
    /// frames.
    pub fn open(path: &Path) -> ModelResult<Self> {
        let file = PickledArrays::open(path)?;
        let wrong = |what: String| ModelError::File { file: path.to_path_buf(), what };
        let shape = match *file.array(ROWS)?.1 {
            [frames, rows, width] if frames > 0 && rows > 1 && width > 0 => [frames, rows, width],
            ref other => return Err(wrong(format!("{ROWS} has shape {other:?}, not frames, rows and width"))),
        };
        let frames = shape[0];
        if frames > FRAMES {
            return Err(ModelError::Limit { what: "frames of a file of features", number: frames, limit: FRAMES });
        }
        let mut parts = file.text(WORDS)?.split(FRAME);
        let before = parts.next().unwrap_or_default();
        let words: Vec<String> = parts.take(FRAMES + 1).map(|words| words.trim().to_string()).collect();
        if words.len() != frames || !before.trim().is_empty() {
            let text =
                format!("{ROWS} has {frames} frames, {WORDS} has {} times {FRAME} after {before:?}", words.len());
            return Err(wrong(text));
        }
        Ok(FeaturePickle { file, shape, words })
    }

    /// Frames F, rows of each R, width E.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// What a plan needs to know: frames of `size` (width, height), one per second as the published programs take
    /// them, with the words that follow each. A plan of it at one frame per second has all frames.
    pub fn metadata(&self, size: (u32, u32)) -> MediaMetadata {
        let times: Vec<Time> = (0..self.shape[0]).map(|second| Time::new(second as i64, 1)).collect();
        let caption = |(second, text): (usize, &String)| {
            // It ends before the next frame begins.
            Caption { start: second as f64, end: second as f64 + 0.5, text: text.clone() }
        };
        let spoken = self.words.iter().enumerate().filter(|(_, words)| !words.is_empty());
        let captions = spoken.map(caption).collect();
        MediaMetadata { captions, ..MediaMetadata::video(size, times, self.shape[0] as f64) }
    }

    /// The features of some frames, on the CPU and as they are stored.
    ///
    /// # Errors
    /// [`ModelError::Bug`] when there are fewer frames.
    pub fn features(&self, frames: Range<usize>) -> ModelResult<Features> {
        let [all, rows, width] = self.shape;
        let (dtype, _, bytes) = self.file.array(ROWS)?;
        let frame = rows * width * dtype.size_in_bytes();
        if frames.is_empty() || frames.end > all {
            return Err(ModelError::Bug(format!("frames {frames:?} of {all}")));
        }
        let place = frames.start * frame..frames.end * frame;
        let shape = [frames.len() * rows, width];
        let rows_re = Tensor::from_raw_buffer(&bytes[place.clone()], dtype, &shape, &Device::Cpu)?;
        self.file.release(ROWS, place);
        Ok(Features { rows: rows_re, per_unit: vec![rows; frames.len()] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two frames of five rows of three values, 0 to 29, and the words `Hello é.` after the first.
    fn golden(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pickle").join(name)
    }

    #[test]
    fn a_published_film_is_read_some_frames_at_a_time() {
        let film = FeaturePickle::open(&golden("film_protocol4.pkl")).unwrap();
        assert_eq!(film.shape(), [2, 5, 3]);
        let second = film.features(1..2).unwrap();
        assert_eq!((second.rows.dims(), &second.per_unit[..]), (&[5, 3][..], &[5][..]));
        let values: Vec<f32> =
            second.rows.to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(values, (15..30).map(|value| value as f32).collect::<Vec<_>>());
        assert!(film.features(1..3).is_err() && film.features(1..1).is_err());
        let metadata = film.metadata((224, 224));
        assert_eq!(metadata.timeline.len(), 2);
        assert_eq!(metadata.captions, [Caption { start: 0.0, end: 0.5, text: "Hello é.".to_string() }]);
    }

    #[test]
    fn frames_and_words_that_do_not_fit_are_refused_with_both_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("film.pkl");
        let whole = std::fs::read(golden("film_protocol4.pkl")).unwrap();
        let place = whole.windows(7).rposition(|part| part == b"<image>").unwrap();
        let mut fewer = whole.clone();
        fewer[place..place + 7].copy_from_slice(b"<imagE>");
        std::fs::write(&file, fewer).unwrap();
        let error = FeaturePickle::open(&file).err().unwrap().to_string();
        assert!(error.contains("film.pkl") && error.contains("2 frames") && error.contains("1 times"), "{error}");
        let error = FeaturePickle::open(&golden("state_dict.bin")).err().unwrap().to_string();
        assert!(error.contains("not a pickle"), "{error}");
    }
}
