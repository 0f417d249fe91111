//! The page: files inside the program.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// `GET /`.
pub(crate) async fn index() -> Result<Response, ApiError> {
    page(Path("index.html".to_string())).await
}

/// `GET /page/NAME`.
pub(crate) async fn page(Path(name): Path<String>) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("not_found", "there is no such page");
    let (kind, text) = file(&name).ok_or_else(missing)?;
    // The files change only with the program; a reload asks again.
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, text).into_response())
}

/// The kind and the text of a file of the page, as it is sent.
pub(crate) fn file(name: &str) -> Option<(&'static str, String)> {
    let (kind, text) = source(name)?;
    Some((kind, if kind == SVG { text.to_string() } else { lean(text) }))
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The kind and the text of a file of the page, as it is written.
fn source(name: &str) -> Option<(&'static str, &'static str)> {
    macro_rules! files {
        ($($name:literal: $kind:expr),* $(,)?) => {
            match name {
                $($name => Some(($kind, include_str!(concat!("../../page/", $name)))),)*
                _ => None,
            }
        };
    }
    files! {
        "api.js": SCRIPT,
        "app.js": SCRIPT,
        "asker.js": SCRIPT,
        "card.js": SCRIPT,
        "conversation.js": SCRIPT,
        "cost.js": SCRIPT,
        "dom.js": SCRIPT,
        "history.js": SCRIPT,
        "icon.svg": SVG,
        "index.html": HTML,
        "inline.js": SCRIPT,
        "markdown.js": SCRIPT,
        "media.js": SCRIPT,
        "player.js": SCRIPT,
        "request.js": SCRIPT,
        "settings.js": SCRIPT,
        "store.js": SCRIPT,
        "style.css": CSS,
        "thumbs.js": SCRIPT,
        "timeline.js": SCRIPT,
        "times.js": SCRIPT,
        "turns.js": SCRIPT,
    }
}

/// `text` without indentation, comments on lines of their own, and types in comments: a quarter of it. Sound for the
/// files of the page alone, which have no text of several lines and no comment behind code.
fn lean(text: &str) -> String {
    let (mut out, mut is_comment) = (String::with_capacity(text.len()), false);
    for line in text.lines().map(str::trim) {
        let opens = line.starts_with("/*") && !line.contains("*/");
        let is_whole = line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
        if is_comment || opens {
            is_comment = !line.ends_with("*/");
        } else if !is_whole && !line.is_empty() {
            let mut rest = line;
            while let Some((before, after)) = rest.split_once("/** ") {
                out.push_str(before);
                rest = after.split_once("*/").map_or("", |(_, after)| after.trim_start());
            }
            out.push_str(rest);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the first look at the page costs.
    #[test]
    fn the_page_is_small_and_has_all_that_it_asks_for() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let (mut bytes, mut count) = (0, 0);
        for entry in std::fs::read_dir(folder).expect("the page") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            if ["js", "css", "html", "svg"].iter().any(|ending| name.ends_with(&format!(".{ending}"))) {
                let (_, text) = file(&name).unwrap_or_else(|| panic!("{name} is not in the list"));
                (bytes, count) = (bytes + text.len(), count + 1);
            }
        }
        assert!(count > 20 && bytes <= 100 << 10, "{count} files of {bytes} bytes");
        assert_eq!(file("../Cargo.toml"), None);
    }

    #[test]
    fn comments_and_types_go_and_code_stays() {
        let text = "/** @type {A} */\n  let a = /** @type {B} */ (b); // c\n\n/*\n * d\n */\n// e\nf('http://x');\n";
        assert_eq!(lean(text), "let a = (b); // c\nf('http://x');\n");
    }
}
