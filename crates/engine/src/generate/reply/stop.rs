//! Stop strings across token borders: text that may still become a stop string is held back.

use crate::error::EngineError;

/// Watches a stream of text for stop strings.
#[derive(Clone, Debug, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
}

impl StopStrings {
    /// A watcher for these strings; an empty one is refused, none at all is fine.
    pub fn new(stops: &[String]) -> Result<Self, EngineError> {
        if let Some(at) = stops.iter().position(String::is_empty) {
            return Err(EngineError::caller(format!("stop string {} is empty", at + 1)));
        }
        Ok(StopStrings { stops: stops.to_vec(), held: String::new() })
    }

    /// Takes the next piece of text; returns what may be shown, and whether a stop string was met. The stop string
    /// itself and all after it are dropped.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            let mut shown = std::mem::take(&mut self.held);
            shown.truncate(at);
            return (shown, true);
        }
        let keep = self.longest_open_end();
        let tail = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, tail), false)
    }

    /// The text still held back, when nothing more will come.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes of the longest end of the held text that begins a stop string.
    fn longest_open_end(&self) -> usize {
        let open = |stop: &String| {
            let most = self.held.len().min(stop.len() - 1);
            (1..=most).rev().find(|&n| {
                self.held.is_char_boundary(self.held.len() - n) && stop.starts_with(&self.held[self.held.len() - n..])
            })
        };
        self.stops.iter().filter_map(open).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(list: &[&str]) -> StopStrings {
        StopStrings::new(&list.iter().map(|s| s.to_string()).collect::<Vec<_>>()).expect("valid")
    }

    /// Feeds `text` in pieces of `size` characters; what was shown in all, and whether it stopped.
    fn feed(list: &[&str], text: &str, size: usize) -> (String, bool) {
        let mut watcher = stops(list);
        let mut shown = String::new();
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(size) {
            let (text, stopped) = watcher.push(&piece.iter().collect::<String>());
            shown.push_str(&text);
            if stopped {
                return (shown, true);
            }
        }
        (shown + &watcher.finish(), false)
    }

    #[test]
    fn a_stop_string_is_found_across_any_split() {
        for size in 1..12 {
            assert_eq!(feed(&["END"], "one two END three", size), ("one two ".into(), true), "pieces of {size}");
            assert_eq!(feed(&["END"], "one EN two E", size), ("one EN two E".into(), false), "pieces of {size}");
            assert_eq!(feed(&["ééa"], "xéééa", size), ("xé".into(), true), "pieces of {size}");
            assert_eq!(feed(&["aab"], "aaaab", size), ("aa".into(), true), "pieces of {size}");
        }
    }

    #[test]
    fn the_earliest_of_several_wins() {
        assert_eq!(feed(&["three", "two"], "one two three", 100), ("one ".into(), true));
    }

    #[test]
    fn only_what_may_become_a_stop_string_is_held_back() {
        let mut watcher = stops(&["\n\nQ:"]);
        assert_eq!(watcher.push("hello\n"), ("hello".into(), false));
        assert_eq!(watcher.push("there"), ("\nthere".into(), false));
        assert_eq!(watcher.push("\n\nQ"), (String::new(), false));
        assert_eq!(watcher.finish(), "\n\nQ");
    }

    #[test]
    fn without_stop_strings_nothing_is_held() {
        let mut watcher = stops(&[]);
        assert_eq!(watcher.push("anything"), ("anything".into(), false));
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        let text = StopStrings::new(&["a".into(), String::new()]).map_err(|e| e.to_string()).expect_err("refused");
        assert_eq!(text, "stop string 2 is empty");
    }
}
