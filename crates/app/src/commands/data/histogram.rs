//! How many samples have how many tokens: in bins, as lines of text, as a picture.

use std::fmt::Write;

use serde::Serialize;

/// Most bins of equal width.
const MOST_BINS: u64 = 16;
/// Ratio of the most to the least from which bins double instead.
const DOUBLING: u64 = 32;
/// Columns of the longest bar.
const BAR: usize = 40;

/// Samples with `from` to `to` tokens, `to` included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Bin {
    from: u64,
    to: u64,
    count: u64,
}

/// Bins of ascending numbers: of equal width, or, where the most is much more than the least, each twice as wide as the
/// one before.
pub(super) fn bins(sorted: &[u64]) -> Vec<Bin> {
    let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let doubles = most / least.max(1) >= DOUBLING;
    let width = step((most - least) / MOST_BINS + 1);
    let mut from = if doubles { 1 << least.max(1).ilog2() } else { least / width * width };
    let mut bins = Vec::new();
    while from <= most {
        let to = if doubles { from.saturating_mul(2) - 1 } else { from + (width - 1) };
        let count = sorted.partition_point(|tokens| *tokens <= to) - sorted.partition_point(|tokens| *tokens < from);
        bins.push(Bin { from, to, count: count as u64 });
        from = to.saturating_add(1);
    }
    bins
}

/// The least of 1, 2, 5, 10, 20, 50, ... that is at least `width`.
fn step(width: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for nice in [1, 2, 5] {
            let step = power.saturating_mul(nice);
            if step >= width {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// One line a bin.
pub(super) fn lines(bins: &[Bin]) -> String {
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1);
    let width = bins.iter().map(|bin| bin.to.to_string().len()).max().unwrap_or(1);
    let mut out = String::new();
    for Bin { from, to, count } in bins {
        // A bin that is not empty shows something.
        let bar = (*count as usize * BAR).div_ceil(most as usize);
        let _ = writeln!(out, "  {from:>width$} - {to:>width$} | {:<BAR$} {count}", "#".repeat(bar));
    }
    out
}

/// A bar chart as SVG, `title` above it.
pub(super) fn svg(title: &str, bins: &[Bin]) -> String {
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1);
    let (left, top, line, longest) = (170, 50, 24, 480);
    let (width, height) = (left + longest + 90, top + line * bins.len() + 20);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"20\" y=\"30\" font-size=\"16\">{}</text>\n",
        escaped(title)
    );
    for (number, Bin { from, to, count }) in bins.iter().enumerate() {
        let (y, bar) = (top + line * number, *count as f64 / most as f64 * longest as f64);
        let (baseline, after) = (y + 15, left as f64 + bar + 6.0);
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{from} - {to}</text>\n\
             <rect class=\"bar\" x=\"{left}\" y=\"{y}\" width=\"{bar:.1}\" height=\"{}\" fill=\"#3465a4\"/>\n\
             <text x=\"{after:.1}\" y=\"{baseline}\">{count}</text>\n",
            left - 8,
            line - 4
        );
    }
    out + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(numbers: &[u64]) -> Vec<(u64, u64, u64)> {
        bins(numbers).into_iter().map(|bin| (bin.from, bin.to, bin.count)).collect()
    }

    #[test]
    fn bins_hold_every_number_once() {
        assert_eq!(parts(&[]), []);
        assert_eq!(parts(&[7]), [(7, 7, 1)]);
        assert_eq!(
            parts(&[100, 101, 119, 160]),
            [(100, 104, 2), (105, 109, 0), (110, 114, 0), (115, 119, 1)]
                .into_iter()
                .chain((0..9).map(|n| (120 + 5 * n, 124 + 5 * n, u64::from(n == 8))))
                .collect::<Vec<_>>()
        );
        assert_eq!(
            parts(&[3, 4, 9, 200]),
            [(2, 3, 1), (4, 7, 1), (8, 15, 1), (16, 31, 0), (32, 63, 0), (64, 127, 0), (128, 255, 1)]
        );
        let many: Vec<u64> = (1..5000).collect();
        assert_eq!(parts(&many).iter().map(|bin| bin.2).sum::<u64>(), 4999);
    }

    #[test]
    fn bars_are_as_long_as_their_counts() {
        let text = lines(&[Bin { from: 8, to: 15, count: 80 }, Bin { from: 16, to: 31, count: 1 }]);
        let lengths: Vec<usize> = text.lines().map(|line| line.matches('#').count()).collect();
        assert_eq!(lengths, [40, 1], "{text}");
    }

    #[test]
    fn the_picture_has_a_bar_for_each_bin_and_no_markup_of_others() {
        let picture = svg("<b>&\"tokens", &[Bin { from: 8, to: 15, count: 80 }, Bin { from: 16, to: 31, count: 1 }]);
        assert_eq!(picture.matches("class=\"bar\"").count(), 2);
        assert!(picture.contains("&lt;b&gt;&amp;&quot;tokens") && picture.contains("16 - 31"), "{picture}");
    }
}
