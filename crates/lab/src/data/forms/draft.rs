//! A row that has been understood, before any file was looked at.

use zoetrope_models::contract::prompt::{Message, Role};

/// A row that has been understood.
#[derive(Debug, Default, PartialEq)]
pub(in crate::data) struct Draft {
    /// Media in the order of their appearance in `messages`.
    pub(in crate::data) media: Vec<MediaDraft>,
    /// The turns.
    pub(in crate::data) messages: Vec<Message>,
    /// Of a pair of preferences: the turns with the rejected answer.
    pub(in crate::data) rejected: Option<Vec<Message>>,
}

/// A picture or video that a row names.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data) struct MediaDraft {
    /// What it is made of.
    pub(in crate::data) shape: MediaShape,
    /// First second of the part that is meant.
    pub(in crate::data) start: Option<f64>,
    /// The second before which that part ends.
    pub(in crate::data) end: Option<f64>,
}

impl MediaDraft {
    /// The file at `path`.
    pub(super) fn of_path(path: String) -> Self {
        MediaDraft::whole(MediaPlace::Path(path))
    }

    /// One file.
    pub(super) fn whole(place: MediaPlace) -> Self {
        MediaDraft { shape: MediaShape::Whole(place), start: None, end: None }
    }

    /// A clip of frames.
    pub(super) fn frames(frames: Vec<ClipFrame>) -> Self {
        MediaDraft { shape: MediaShape::Frames(frames), start: None, end: None }
    }
}

/// What media is made of.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data) enum MediaShape {
    /// A file: a picture, a video, a folder of frames.
    Whole(MediaPlace),
    /// Pictures that are the frames of a video, in the order of their times.
    Frames(Vec<ClipFrame>),
}

/// A picture that is a frame of a video.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data) struct ClipFrame {
    /// The picture.
    pub(in crate::data) place: MediaPlace,
    /// Seconds.
    pub(in crate::data) time: f64,
}

/// Where media lies.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data) enum MediaPlace {
    /// A path, or the name of a file in the row's archive.
    Path(String),
    /// In the row itself.
    Bytes(Vec<u8>),
}

/// One turn, with media that are not numbered yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) role: Role,
    pub(super) parts: Vec<TurnPart>,
    /// When it is said in a stream, in seconds.
    pub(super) time: Option<f64>,
}

/// A part of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TurnPart {
    /// Text, in which `<image>` and `<video>` may stand.
    Text(String),
    /// The next picture of the row's fields.
    NextImage,
    /// The next video of the row's fields.
    NextVideo,
    /// Media that is named here.
    Media(MediaDraft),
}

impl Turn {
    /// A turn of one text.
    pub(super) fn text(role: Role, text: impl Into<String>) -> Self {
        Turn { role, parts: vec![TurnPart::Text(text.into())], time: None }
    }
}

/// Media of a row's own fields, which placeholders stand for in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RowMedia {
    pub(super) images: Vec<MediaDraft>,
    pub(super) videos: Vec<MediaDraft>,
}

impl RowMedia {
    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty() && self.videos.is_empty()
    }
}
