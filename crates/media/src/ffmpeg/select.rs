//! The `select` filter that lets the requested frames pass.

/// More `between` terms than this in one filter, and the whole range goes through the pipe instead.
const MAX_TERMS: usize = 300;

/// Ranges of consecutive numbers (first, last) in an ascending list.
pub(super) fn ranges(indices: &[usize]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for &index in indices {
        match out.last_mut() {
            Some(range) if index <= range.1 + 1 => range.1 = index,
            _ => out.push((index, index)),
        }
    }
    out
}

/// The filter that lets the frames of `ranges` pass, and the ranges that then come through the pipe.
pub(super) fn select_filter(ranges: &[(usize, usize)]) -> (String, Vec<(usize, usize)>) {
    let piped = match ranges {
        [first, .., last] if ranges.len() > MAX_TERMS => vec![(first.0, last.1)],
        _ => ranges.to_vec(),
    };
    let terms: Vec<String> = piped.iter().map(|(a, b)| format!("between(n\\,{a}\\,{b})")).collect();
    (format!("select={}", terms.join("+")), piped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_are_selected_as_ranges() {
        let ranges = ranges(&[2, 2, 3, 4, 9]);
        assert_eq!(ranges, [(2, 4), (9, 9)]);
        assert_eq!(select_filter(&ranges).0, "select=between(n\\,2\\,4)+between(n\\,9\\,9)");
    }

    #[test]
    fn many_single_frames_go_through_the_pipe_as_one_range() {
        let many: Vec<usize> = (0..MAX_TERMS + 1).map(|i| 5 + 3 * i).collect();
        let (filter, piped) = select_filter(&ranges(&many));
        assert_eq!(piped, [(5, 5 + 3 * MAX_TERMS)]);
        assert_eq!(filter.matches("between").count(), 1);
    }
}
