//! The files of the page.

/// The kind and the bytes of a file of the page.
pub(crate) fn file(name: &str) -> Option<(&'static str, &'static [u8])> {
    const HTML: &str = "text/html; charset=utf-8";
    const CSS: &str = "text/css; charset=utf-8";
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    const SVG: &str = "image/svg+xml";
    macro_rules! files {
        ($($name:literal: $kind:expr),* $(,)?) => {
            match name {
                $($name => Some(($kind, &include_bytes!(concat!("../page/", $name))[..])),)*
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
