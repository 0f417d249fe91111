//! Conversations, and the token sequences they become.

use std::ops::Range;

use serde::Serialize;

use crate::contract::position::Position;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the operator.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The name that chat templates use.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// Text or media of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum MessagePart {
    /// Untrusted text: special tokens inside are ordinary characters.
    Text(String),
    /// The n-th picture or video of the conversation, from 0.
    Media(usize),
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said and shown, in order.
    pub parts: Vec<MessagePart>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Message { role, parts: vec![MessagePart::Text(text.into())] }
    }
}

/// Visual tokens that stand together in a prompt, and the frames that they show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VisualSpan {
    /// Frames, as numbers in the plan.
    pub frames: Range<usize>,
    /// Visual tokens.
    pub tokens: usize,
}

/// Media at one place of the conversation, with the words that its visual tokens depend on there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Number of the picture or video.
    pub media: usize,
    /// What the projector hears, in families whose projector hears words.
    pub instruction: Option<String>,
}

/// One token of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PromptToken {
    /// A token of text.
    Text(u32),
    /// A visual token.
    Visual {
        /// Number of the placement.
        placement: u32,
        /// Row of the placement's visual tokens.
        row: u32,
    },
}

/// A conversation as the decoder takes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// `[T]`.
    pub tokens: Vec<PromptToken>,
    /// `[T]`.
    pub positions: Vec<Position>,
    /// For training: tokens that are learned (the assistant's replies and their end marks; only the last reply where
    /// the template writes earlier ones as part of the question).
    pub targets: Vec<usize>,
}

impl Prompt {
    /// Tokens of text at consecutive positions.
    pub fn of_text(ids: &[u32]) -> Self {
        Prompt {
            tokens: ids.iter().map(|&id| PromptToken::Text(id)).collect(),
            positions: (0..ids.len() as u32).map(Position::text).collect(),
            targets: Vec::new(),
        }
    }

    /// Number of visual tokens.
    pub fn visual_tokens(&self) -> usize {
        self.tokens.iter().filter(|token| matches!(token, PromptToken::Visual { .. })).count()
    }

    /// The position of the first generated token.
    pub fn next_position(&self) -> Position {
        self.positions.last().map_or(Position::default(), |last| last.next())
    }
}

/// What stands behind the last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationPrompt<'a> {
    /// Nothing: a whole conversation to learn from.
    None,
    /// The header of the assistant's next turn, and the words it begins with.
    Reply(&'a str),
}
