//! Conversations about pictures and videos.

use zoetrope_models::contract::prompt::{Message, MessagePart, Role};

use crate::media::{TestMedia, picture, video, video_with_captions};

/// Messages and what they show.
#[derive(Clone)]
pub(crate) struct Conversation {
    pub(crate) name: &'static str,
    pub(crate) messages: Vec<Message>,
    pub(crate) media: Vec<TestMedia>,
}

impl Conversation {
    fn new(name: &'static str, messages: Vec<Message>, media: Vec<TestMedia>) -> Self {
        Conversation { name, messages, media }
    }
}

/// A user's message that shows `media` and then asks.
pub(crate) fn ask(media: &[usize], question: &str) -> Message {
    let shown = media.iter().map(|number| MessagePart::Media(*number));
    Message { role: Role::User, parts: shown.chain([MessagePart::Text(question.to_string())]).collect() }
}

/// A reply of the assistant.
pub(crate) fn reply(text: &str) -> Message {
    Message::text(Role::Assistant, text)
}

/// One of each form: text, a picture, a video with captions, several media in several turns.
pub(crate) fn conversations() -> Vec<Conversation> {
    let captioned = video_with_captions(8, &[(0.9, "Somebody speaks."), (3.2, "A door closes.")]);
    vec![
        Conversation::new("text", vec![ask(&[], "Hello, what can you see?")], vec![]),
        Conversation::new("picture", vec![ask(&[0], "What is this?")], vec![picture(61, 45)]),
        Conversation::new("video", vec![ask(&[0], "What happens here?")], vec![captioned]),
        Conversation::new(
            "turns",
            vec![
                Message::text(Role::System, "Answer in one word."),
                ask(&[0, 1], "Which one moves?"),
                reply("The second."),
                ask(&[2], "And here?"),
            ],
            vec![picture(40, 70), video(56, 42, 6), video(42, 56, 4)],
        ),
    ]
}
