//! A prompt, written run by run: our text, people's text, replies to learn, visual tokens.

use std::ops::Range;

use zoetrope_text::Tokenizer;

use crate::contract::position::Position;
use crate::contract::prompt::{Prompt, PromptToken};
use crate::error::ModelResult;

/// Collects the runs of a prompt. Neighboring texts are encoded together, unless they are
/// [separated](PromptBuilder::separate).
#[derive(Default)]
pub struct PromptBuilder {
    runs: Vec<PromptRun>,
    /// Visual tokens so far of each placement.
    rows: Vec<u32>,
}

enum PromptRun {
    Text(MarkedText),
    Visual { placement: u32, rows: Range<u32> },
}

/// Text with byte ranges that people wrote, and byte ranges whose tokens are learned.
#[derive(Default)]
struct MarkedText {
    text: String,
    untrusted: Vec<Range<usize>>,
    learned: Vec<Range<usize>>,
}

impl PromptBuilder {
    /// Adds text of the template; special tokens in it are obeyed.
    pub fn trusted(&mut self, text: &str) {
        self.last_text().push(text);
    }

    /// Adds text that a person wrote; special tokens in it are ordinary characters.
    pub fn untrusted(&mut self, text: &str) {
        let all = self.last_text();
        let range = all.push(text);
        all.untrusted.push(range);
    }

    /// Adds a reply of the assistant, which is a target of training. Special tokens in it are ordinary characters.
    pub fn reply(&mut self, text: &str) {
        let all = self.last_text();
        let range = all.push(text);
        all.untrusted.push(range.clone());
        all.learned.push(range);
    }

    /// Adds the mark of the template that ends a reply, which is a target of training.
    pub fn reply_end(&mut self, text: &str) {
        let all = self.last_text();
        let range = all.push(text);
        all.learned.push(range);
    }

    /// Makes targets of training of what lies after each `header` of the template up to and with the next `end`: for
    /// templates that write a whole conversation. Neither is looked for in text that a person wrote.
    pub fn learn_replies(&mut self, header: &str, end: &str) {
        for run in &mut self.runs {
            if let PromptRun::Text(text) = run {
                text.learn_replies(header, end);
            }
        }
    }

    /// Ends the text that is encoded together: what follows is encoded on its own, as by code that joins the ids of
    /// several texts.
    pub fn separate(&mut self) {
        if matches!(self.runs.last(), Some(PromptRun::Text(_))) {
            self.runs.push(PromptRun::Text(MarkedText::default()));
        }
    }

    /// Adds the next `tokens` visual tokens of placement number `placement`.
    pub fn visual(&mut self, placement: usize, tokens: usize) {
        if tokens == 0 {
            return;
        }
        if self.rows.len() <= placement {
            self.rows.resize(placement + 1, 0);
        }
        let first = self.rows[placement];
        self.rows[placement] = first + tokens as u32;
        self.runs.push(PromptRun::Visual { placement: placement as u32, rows: first..first + tokens as u32 });
    }

    fn last_text(&mut self) -> &mut MarkedText {
        if !matches!(self.runs.last(), Some(PromptRun::Text(_))) {
            self.runs.push(PromptRun::Text(MarkedText::default()));
        }
        match self.runs.last_mut() {
            Some(PromptRun::Text(text)) => text,
            _ => unreachable!("a text was just pushed"),
        }
    }

    /// The prompt at consecutive positions.
    ///
    /// # Errors
    /// When a text is too long or cannot be encoded.
    pub fn finish(self, tokenizer: &Tokenizer) -> ModelResult<Prompt> {
        let mut prompt = Prompt::default();
        for run in self.runs {
            match run {
                PromptRun::Text(text) => {
                    for (id, bytes) in tokenizer.encode_offsets(&text.text, &text.untrusted)? {
                        // A token that begins in the header is none that the model has to say.
                        if text.learned.iter().any(|range| range.contains(&bytes.start)) {
                            prompt.targets.push(prompt.tokens.len());
                        }
                        prompt.tokens.push(PromptToken::Text(id));
                    }
                }
                PromptRun::Visual { placement, rows } => {
                    prompt.tokens.extend(rows.map(|row| PromptToken::Visual { placement, row }));
                }
            }
        }
        prompt.positions = (0..prompt.tokens.len() as u32).map(Position::text).collect();
        Ok(prompt)
    }
}

impl MarkedText {
    /// Adds text and tells where it lies.
    fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    fn learn_replies(&mut self, header: &str, end: &str) {
        let mut at = 0;
        while let Some(header) = self.find_trusted(header, at) {
            let Some(end) = self.find_trusted(end, header.end) else { break };
            self.learned.push(header.end..end.end);
            at = end.end;
        }
    }

    /// The first place from `from` on where the template wrote `text`.
    fn find_trusted(&self, text: &str, from: usize) -> Option<Range<usize>> {
        let places = self.text[from..].match_indices(text).map(|(at, _)| from + at..from + at + text.len());
        let foreign = |place: &Range<usize>| {
            self.untrusted.iter().any(|range| range.start < place.end && place.start < range.end)
        };
        places.into_iter().find(|place| !foreign(place))
    }
}
