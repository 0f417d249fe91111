//! Bilinear resize without antialiasing, of normalized values in floats: what the authors do to frames of videos
//! (`interpolate(mode="bilinear", align_corners=False)`).

use zoetrope_media::Rgb;

use crate::contract::media_plan::View;

/// The two inputs of one output of an axis, and the share of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Taps {
    first: usize,
    second: usize,
    share: f32,
}

/// Inputs of the outputs `start..start + count` of an axis that is resized from `from` to `to`. In f32, as PyTorch.
fn taps(from: u32, to: u32, start: i32, count: u32) -> Vec<Taps> {
    let scale = from as f32 / to as f32;
    let last = from as usize - 1;
    let of = |at: i64| {
        let place = (scale * (at as f32 + 0.5) - 0.5).max(0.0);
        let first = (place as usize).min(last);
        Taps { first, second: (first + 1).min(last), share: (place - first as f32).clamp(0.0, 1.0) }
    };
    (i64::from(start)..i64::from(start) + i64::from(count)).map(of).collect()
}

/// The window of `view` of a frame that has the size that was planned: `write` gets row, column, channel and value of
/// every pixel. `level` is what a gray level of a channel becomes before it is resampled.
pub(super) fn resample(
    view: &View,
    frame: &Rgb,
    level: impl Fn(usize, u8) -> f32,
    mut write: impl FnMut(usize, usize, usize, f32),
) {
    let window = view.window;
    let columns = taps(frame.width, view.resized.0, window.left, window.width);
    let rows = taps(frame.height, view.resized.1, window.top, window.height);
    let line = frame.width as usize * 3;
    for (y, row) in rows.iter().enumerate() {
        let (above, below) = (&frame.data[row.first * line..][..line], &frame.data[row.second * line..][..line]);
        for (x, column) in columns.iter().enumerate() {
            for channel in 0..3 {
                let across = |line: &[u8]| {
                    let at = |pixel: usize| level(channel, line[pixel * 3 + channel]);
                    (1.0 - column.share) * at(column.first) + column.share * at(column.second)
                };
                write(y, x, channel, (1.0 - row.share) * across(above) + row.share * across(below));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_mean_of_the_two_in_the_middle_whatever_else_is_there() {
        // 8 to 2: without antialiasing an output sees two inputs of four.
        let all = taps(8, 2, 0, 2);
        assert_eq!(all[0], Taps { first: 1, second: 2, share: 0.5 });
        assert_eq!(all[1], Taps { first: 5, second: 6, share: 0.5 });
        // 2 to 4: edges are repeated.
        let all = taps(2, 4, 0, 4);
        assert_eq!(all.iter().map(|taps| taps.share).collect::<Vec<_>>(), [0.0, 0.25, 0.75, 0.25]);
        assert_eq!((all[0].first, all[3].first, all[3].second), (0, 1, 1));
        assert_eq!(taps(2, 4, 1, 2), all[1..3]);
    }
}
