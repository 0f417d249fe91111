//! Tags and styling of cues, and their removal.

/// How a cue is marked up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup {
    /// SRT, tx3g: a few HTML tags and, by habit, the overrides of ASS (`{\an8}`).
    Srt,
    /// WebVTT: tags, times and entities.
    Vtt,
    /// ASS: overrides in braces, `\N` for a new line, drawings.
    Ass,
}

/// The words alone, on one line.
pub(super) fn plain(text: &str, markup: Markup) -> String {
    let text = match markup {
        Markup::Srt => without_tags(&without_overrides(text, false)),
        Markup::Vtt => without_tags(text),
        Markup::Ass => without_overrides(text, true),
    };
    // Marks of direction and control characters go with the styling; spaces are one each.
    let shown = |c: char| !(c.is_control() || matches!(c, '\u{feff}' | '\u{200e}' | '\u{200f}' | '\u{fffc}'));
    let one_line: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|&c| shown(c)).collect();
    one_line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Without `<i>`, `</font>`, `<v Speaker>`, `<00:00:01.000>`; with entities as characters. What only looks like a tag
/// (`<3`, `a < b`) stays.
fn without_tags(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = match rest.starts_with('<') {
            true => tag_end(rest),
            false => entity(rest).map(|(c, end)| {
                out.extend(c);
                end
            }),
        };
        match end {
            Some(end) => rest = &rest[end..],
            None => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where the tag that `text` begins with ends.
fn tag_end(text: &str) -> Option<usize> {
    let inside = text[1..].strip_prefix('/').unwrap_or(&text[1..]);
    let is_time = || {
        let time = inside.split('>').next().unwrap_or_default();
        time.contains(':') && time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'))
    };
    let is_tag = inside.starts_with(|c: char| c.is_ascii_alphabetic()) || is_time() || inside.starts_with('>');
    let end = text.find('>').filter(|_| is_tag)?;
    // Another tag opens before this one closes: it is none.
    (!text[1..end].contains('<')).then_some(end + 1)
}

/// Longest entity, with its marks.
const ENTITY: usize = 10;

/// The character of the entity that `text` begins with (none for one that only steers), and where it ends.
fn entity(text: &str) -> Option<(Option<char>, usize)> {
    let end = text.bytes().take(ENTITY).position(|byte| byte == b';')?;
    let c = match &text[1..end] {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "lrm" | "rlm" => None,
        name => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            Some(char::from_u32(code.ok()?)?)
        }
    };
    Some((c, end + 1))
}

/// Without overrides (`{\i1}`); of ASS also without comments in braces and drawings (`{\p1}m 0 0 l 9 9{\p0}`), and
/// with `\N`, `\n` and `\h` as spaces.
fn without_overrides(text: &str, is_ass: bool) -> String {
    let (mut out, mut rest, mut draws) = (String::with_capacity(text.len()), text, false);
    loop {
        let at = rest.find('{').unwrap_or(rest.len());
        if !draws {
            match is_ass {
                true => out.push_str(&rest[..at].replace("\\N", " ").replace("\\n", " ").replace("\\h", " ")),
                false => out.push_str(&rest[..at]),
            }
        }
        rest = &rest[at..];
        if rest.is_empty() {
            return out;
        }
        match rest.find('}') {
            Some(end) if is_ass || rest.starts_with("{\\") => {
                draws = drawing(&rest[..end]).unwrap_or(draws) && is_ass;
                rest = &rest[end + 1..];
            }
            _ => {
                if !draws {
                    out.push('{');
                }
                rest = &rest[1..];
            }
        }
    }
}

/// Whether an override begins a drawing (`\p1`) or ends one (`\p0`); `None` when it says nothing of it.
fn drawing(overrides: &str) -> Option<bool> {
    let mut numbers = overrides.split('\\').filter_map(|one| one.strip_prefix('p')?.trim().parse::<u32>().ok());
    numbers.next_back().map(|number| number > 0)
}
