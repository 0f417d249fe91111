//! Files joined one after the other (`cat a.mp4 b.mp4`, a stream that was restarted): each part has its own `moov`.

use super::top_level::TopLevelBox;

/// The boxes of one part.
pub(super) struct Part<'a> {
    /// Offset that the chunk offsets of the part count from.
    pub(super) start: u64,
    pub(super) boxes: &'a [TopLevelBox],
}

/// Splits the file where an `ftyp` after a `moov` begins a part that has a `moov` of its own. Without an `ftyp`
/// between them, the first `moov` stands for the whole file.
pub(super) fn split(boxes: &[TopLevelBox]) -> (Part<'_>, Vec<Part<'_>>) {
    let is = |b: &TopLevelBox, fourcc: &[u8; 4]| b.fourcc == *fourcc;
    let mut starts = vec![0];
    let mut ftyp = None;
    for (i, top) in boxes.iter().enumerate() {
        if is(top, b"ftyp") {
            ftyp = Some(i);
        } else if is(top, b"moov")
            && let Some(start) = ftyp.take()
        {
            // The index of a part may follow its data.
            let begun = starts.last().copied().unwrap_or(0);
            if boxes[begun..start].iter().any(|b| is(b, b"moov")) {
                starts.push(start);
            }
        }
    }
    let ends = starts.iter().copied().skip(1).chain([boxes.len()]);
    let part = |(start, end): (usize, usize)| Part {
        start: if start == 0 { 0 } else { boxes[start].start },
        boxes: &boxes[start..end],
    };
    let mut parts = starts.iter().copied().zip(ends).map(part);
    let first = parts.next().unwrap_or(Part { start: 0, boxes });
    (first, parts.collect())
}
