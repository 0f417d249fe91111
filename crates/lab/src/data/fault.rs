//! What is wrong with a row, before it is known which row it is.

use std::fmt;

/// What is wrong with a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    kind: FaultKind,
    detail: String,
}

/// A result about one row.
pub(super) type RowResult<T> = Result<T, Fault>;

/// The kinds that bad rows are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The bytes of the row are no JSON.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// More bytes than a row may have.
    TooLong,
    /// The row cannot be read from its file.
    Unreadable,
    /// None of the fields that hold a conversation is there.
    NoConversation,
    /// A field holds another type than it should.
    FieldType,
    /// A role that nobody knows.
    UnknownRole,
    /// Two questions or two answers in a row, or a last question without an answer.
    RoleOrder,
    /// A question without a word or media.
    EmptyQuestion,
    /// An answer without a word.
    EmptyAnswer,
    /// A preferred answer without a rejected one, or the other way round.
    HalfPair,
    /// A preferred answer that is the rejected one.
    EqualAnswers,
    /// Preferred and rejected answers that are no answers to one question about the same media.
    UnlikePair,
    /// As many placeholders as media there are not.
    Placeholders,
    /// Times that contradict each other or the media.
    Times,
    /// No such file.
    MediaMissing,
    /// A file that cannot be opened as a picture or video.
    MediaUnreadable,
    /// A path that leaves the media folder.
    MediaOutside,
    /// An address instead of a path.
    MediaAddress,
    /// Something that no sample can express, such as sound.
    Unsupported,
}

impl FaultKind {
    /// The words of the kind; none has a colon.
    pub(super) fn name(self) -> &'static str {
        match self {
            FaultKind::NotJson => "not JSON",
            FaultKind::NotAnObject => "not an object",
            FaultKind::TooLong => "row too long",
            FaultKind::Unreadable => "row unreadable",
            FaultKind::NoConversation => "no conversation",
            FaultKind::FieldType => "field of a wrong type",
            FaultKind::UnknownRole => "unknown role",
            FaultKind::RoleOrder => "roles do not alternate",
            FaultKind::EmptyQuestion => "empty question",
            FaultKind::EmptyAnswer => "empty answer",
            FaultKind::HalfPair => "half a pair",
            FaultKind::EqualAnswers => "equal answers",
            FaultKind::UnlikePair => "pair of unlike questions",
            FaultKind::Placeholders => "placeholders do not fit",
            FaultKind::Times => "times do not fit",
            FaultKind::MediaMissing => "media missing",
            FaultKind::MediaUnreadable => "media unreadable",
            FaultKind::MediaOutside => "media outside the media folder",
            FaultKind::MediaAddress => "media at an address",
            FaultKind::Unsupported => "not supported",
        }
    }

    /// A fault of this kind.
    pub(super) fn of(self, detail: impl Into<String>) -> Fault {
        Fault { kind: self, detail: detail.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.kind.name(), self.detail)
    }
}
