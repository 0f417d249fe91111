//! The sizes that tiles may make (`image_grid_pinpoints`), in each form that configurations have them in.

use serde_json::Value;

/// Most tiles of one picture, and most sizes to choose from.
const MAX_TILES: usize = 256;
const MAX_PINPOINTS: usize = 4096;

/// Sizes (width, height) of whole tiles of `side` pixels, in the reference's order: the first of equal ones is taken.
/// With `height_first` the pairs are (height, width), as transformers writes them. `None` gives all grids of up to
/// 6 x 6 tiles.
pub(super) fn read(listed: Option<&Value>, side: usize, height_first: bool) -> Result<Vec<(u32, u32)>, String> {
    let wrong = |what: &str| format!("image_grid_pinpoints: {what}");
    let pairs = match listed {
        None => grid(side, [1, 1], [6, 6]),
        Some(Value::String(text)) if text.contains('x') => {
            range(text, side).ok_or_else(|| wrong("no range of grids"))?
        }
        Some(Value::String(text)) => {
            // A Python list, or tuples.
            let text = text.replace('(', "[").replace(')', "]");
            pairs(&serde_json::from_str(&text).unwrap_or_default()).ok_or_else(|| wrong("no list of pairs"))?
        }
        Some(value) => pairs(value).ok_or_else(|| wrong("no list of pairs of sizes"))?,
    };
    if pairs.is_empty() || pairs.len() > MAX_PINPOINTS {
        return Err(wrong(&format!("{} sizes, of at most {MAX_PINPOINTS}", pairs.len())));
    }
    for [a, b] in &pairs {
        let whole = a.is_multiple_of(side) && b.is_multiple_of(side) && *a > 0 && *b > 0;
        if !whole || (a / side).saturating_mul(b / side) > MAX_TILES {
            return Err(wrong(&format!("{a} x {b} is not of at most {MAX_TILES} tiles of {side} pixels")));
        }
    }
    let size = |[a, b]: [usize; 2]| if height_first { (b as u32, a as u32) } else { (a as u32, b as u32) };
    Ok(pairs.into_iter().map(size).collect())
}

fn pairs(value: &Value) -> Option<Vec<[usize; 2]>> {
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).map(|n| n as usize);
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([a, b]) => Some([number(a)?, number(b)?]),
        _ => None,
    };
    value.as_array()?.iter().map(pair).collect()
}

/// All grids from `first` to `last` tiles, the second side counting fastest.
fn grid(side: usize, first: [usize; 2], last: [usize; 2]) -> Vec<[usize; 2]> {
    (first[0]..=last[0]).flat_map(|a| (first[1]..=last[1]).map(move |b| [a * side, b * side])).collect()
}

/// The original's short form: `(1x1),...,(6x6)`.
fn range(text: &str, side: usize) -> Option<Vec<[usize; 2]>> {
    let tiles = |text: &str| -> Option<[usize; 2]> {
        let (a, b) = text.split_once('x')?;
        let number = |text: &str| text.parse().ok().filter(|n| (1..=MAX_TILES).contains(n));
        Some([number(a)?, number(b)?])
    };
    let inside = text.split('(').skip(1).filter_map(|part| part.split_once(')'));
    let all = inside.map(|(inside, _)| tiles(inside)).collect::<Option<Vec<_>>>()?;
    let (first, last) = (*all.first()?, *all.last()?);
    let many = last.iter().zip(first).map(|(last, first)| (last + 1).saturating_sub(first)).product::<usize>();
    (many <= MAX_PINPOINTS).then(|| grid(side, first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_gives_the_36_sizes() {
        let all = read(None, 384, false).unwrap();
        assert_eq!((all.len(), all[0], all[1], all[35]), (36, (384, 384), (384, 768), (2304, 2304)));
        let list: Vec<[u32; 2]> = all.iter().map(|(w, h)| [*w, *h]).collect();
        for value in [json!(list), json!(json!(list).to_string()), json!("(1x1),...,(6x6)")] {
            assert_eq!(read(Some(&value), 384, false).unwrap(), all, "{value}");
        }
        let turned: Vec<(u32, u32)> = all.iter().map(|(w, h)| (*h, *w)).collect();
        assert_eq!(read(Some(&json!(list)), 384, true).unwrap(), turned);
        let tuples = json!("[(336, 672), (672, 336)]");
        assert_eq!(read(Some(&tuples), 336, false).unwrap(), [(336, 672), (672, 336)]);
    }

    #[test]
    fn what_is_no_grid_is_refused_with_the_number() {
        let error = |value: Value| read(Some(&value), 384, false).unwrap_err();
        assert!(error(json!([[384, 400]])).ends_with("384 x 400 is not of at most 256 tiles of 384 pixels"));
        assert!(error(json!([[384, 384_000_000]])).contains("384000000"));
        assert!(error(json!([[0, 384]])).contains("0 x 384"));
        for wrong in [json!([]), json!([[384]]), json!("x"), json!("(9x9"), json!("(1x1),(900x900)"), json!(3)] {
            assert!(error(wrong.clone()).starts_with("image_grid_pinpoints: "), "{wrong}");
        }
    }
}
