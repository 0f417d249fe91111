//! Lines that are longer than a terminal is wide, broken between words.

use console::measure_text_width;

/// Columns that continued lines are set in by.
const INDENT: usize = 2;
/// A terminal that is narrower is not written for.
const LEAST: usize = 20;

/// The lines of `text`, each broken at spaces so that it is at most `columns` wide where its words allow that. What
/// goes on with the next line is set in. A word that is longer than a line stays whole: a terminal breaks it, and it
/// can be copied as one.
pub(super) fn wrap(text: &str, columns: usize) -> String {
    if columns < LEAST {
        return text.to_string();
    }
    let lines: Vec<String> = text.split('\n').map(|line| wrap_line(line, columns)).collect();
    lines.join("\n")
}

fn wrap_line(line: &str, columns: usize) -> String {
    if measure_text_width(line) <= columns {
        return line.to_string();
    }
    let own_indent = line.len() - line.trim_start_matches(' ').len();
    let indent = " ".repeat((own_indent + INDENT).min(columns / 2));
    let mut out = line[..own_indent].to_string();
    let mut width = own_indent;
    for (number, word) in line[own_indent..].split(' ').enumerate() {
        let word_width = measure_text_width(word);
        if number > 0 {
            if width + 1 + word_width > columns {
                out.push('\n');
                out.push_str(&indent);
                width = indent.len();
            } else {
                out.push(' ');
                width += 1;
            }
        }
        out.push_str(word);
        width += word_width;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_set_in() {
        let text = "zoetrope-nano, the model inside this program\n  --model DAMO-NLP-SG/VideoLLaMA3-2B";
        let broken = "zoetrope-nano, the model\n  inside this program\n  --model\n    DAMO-NLP-SG/VideoLLaMA3-2B";
        assert_eq!(wrap(text, 26), broken);
        assert_eq!(wrap(text, 100), text);
        assert_eq!(wrap(text, 0), text, "a width that is not known");
        let path = format!("  hint: {}", "/long".repeat(20));
        assert_eq!(wrap(&path, 40), format!("  hint:\n    {}", "/long".repeat(20)));
        assert_eq!(wrap("", 40), "");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(wrap("什么什么什么 什么什么什么", 24), "什么什么什么\n  什么什么什么");
    }

    #[test]
    fn nothing_is_lost_and_no_line_is_too_wide_at_any_width() {
        let text = "  hint: a file, its name, and what to do  about it; see `zoetrope probe`";
        for columns in LEAST..=80 {
            let wrapped = wrap(text, columns);
            assert!(wrapped.lines().all(|line| measure_text_width(line) <= columns), "{columns}: {wrapped}");
            let words = |text: &str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>();
            assert_eq!(words(&wrapped), words(text));
        }
    }
}
