//! What is asked, in the order of the command line: media, text between them, the question.

use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// One word of the command line that belongs to the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A file or the question: which one is seen later.
    Word(OsString),
    /// A file for sure (`--image`).
    Media(OsString),
    /// Text for sure (`--text`).
    Text(String),
    /// The question for sure (`--prompt`).
    Question(String),
}

/// The pieces in the order they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContentArgs(pub(crate) Vec<Piece>);

impl Args for ContentArgs {
    fn augment_args(command: Command) -> Command {
        let words = Arg::new("words")
            .value_name("MEDIA... QUESTION")
            .num_args(1..)
            .action(ArgAction::Append)
            .value_parser(ValueParser::os_string())
            .required_unless_present_any(["text", "prompt"])
            .help(
                "Pictures, videos, and folders of frames, then the question in quotes (`-` reads either from standard \
                 input)",
            );
        let text = Arg::new("text")
            .long("text")
            .value_name("TEXT")
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .help_heading("Media")
            .help("Text at this place between the media (may be given several times)");
        let image = Arg::new("image")
            .long("image")
            .alias("video")
            .value_name("FILE")
            .action(ArgAction::Append)
            .value_parser(ValueParser::os_string())
            .hide(true);
        let prompt = Arg::new("prompt")
            .long("prompt")
            .short('p')
            .value_name("QUESTION")
            .allow_hyphen_values(true)
            .help("The question, when it is not the last word");
        command.arg(words).arg(text).arg(image).arg(prompt)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ContentArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut pieces: Vec<(usize, Piece)> = Vec::new();
        let mut put = |id: &str, values: Vec<Piece>| {
            pieces.extend(matches.indices_of(id).into_iter().flatten().zip(values));
        };
        let os = |id: &str| matches.get_many::<OsString>(id).into_iter().flatten().cloned();
        put("words", os("words").map(Piece::Word).collect());
        put("image", os("image").map(Piece::Media).collect());
        put("prompt", matches.get_one::<String>("prompt").into_iter().cloned().map(Piece::Question).collect());
        put("text", matches.get_many::<String>("text").into_iter().flatten().cloned().map(Piece::Text).collect());
        pieces.sort_by_key(|(index, _)| *index);
        Ok(ContentArgs(pieces.into_iter().map(|(_, piece)| piece).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_their_order() {
        let command = ContentArgs::augment_args(Command::new("ask"));
        let line = ["ask", "a.mp4", "--text", "Then:", "--image", "b.png", "-p", "-5?", "Why"];
        let matches = command.try_get_matches_from(line).expect("a line");
        let word = |text: &str| Piece::Word(text.into());
        let text = |text: &str| Piece::Text(text.into());
        let pieces = ContentArgs::from_arg_matches(&matches).expect("pieces").0;
        let wanted =
            [word("a.mp4"), text("Then:"), Piece::Media("b.png".into()), Piece::Question("-5?".into()), word("Why")];
        assert_eq!(pieces, wanted);
    }
}
