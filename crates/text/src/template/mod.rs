//! Chat templates: messages to the text of a prompt, in the Jinja dialect that Hugging Face checkpoints use.
//!
//! A template is a program from a downloaded file, so it runs with fuel and with a limit on what it writes (not on what
//! it may build in variables: the engine has no such limit, and a hostile template could exhaust memory). It reads
//! nothing but the messages, and its text is no proof of origin: [`Rendered::untrusted`] says which bytes of the prompt
//! came from the caller. How these are found, and what a template could do to hide them, stands in `origin.rs`.

mod functions;
mod source;
mod untrusted;

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Value};
use serde_json::{Map, Value as Json};

use crate::error::TextError;
use crate::files::TextFiles;
use source::Sources;

/// What a template may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateLimits {
    /// Steps of the template's program; about ten million run in a second.
    pub fuel: u64,
    /// Bytes of the rendered prompt.
    pub output_bytes: usize,
    /// Bytes of all strings of the messages.
    pub input_bytes: usize,
}

impl Default for TemplateLimits {
    fn default() -> Self {
        TemplateLimits { fuel: 2_000_000, output_bytes: 4_000_000, input_bytes: 2_000_000 }
    }
}

/// A rendered prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The prompt, exactly as the reference renders it.
    pub text: String,
    /// Byte ranges of `text` that came from the caller's strings, ascending, not touching. For
    /// [`Tokenizer::encode_marked`](crate::Tokenizer::encode_marked).
    pub untrusted: Vec<Range<usize>>,
}

/// A compiled chat template; copies are cheap.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    has_tool_template: bool,
    limits: TemplateLimits,
}

const DEFAULT: &str = "chat_template";
const TOOL_USE: &str = "tool_use";

impl ChatTemplate {
    /// The template of a checkpoint: `chat_template.jinja`, else `chat_template.json`, else `chat_template` in
    /// `tokenizer_config.json` (one text, or a list of named ones). `None` when the folder has none.
    ///
    /// # Errors
    /// [`TextError::File`] for a damaged file, [`TextError::TemplateSyntax`] for a template that does not compile.
    pub fn from_files(files: &(impl TextFiles + ?Sized)) -> Result<Option<Self>, TextError> {
        source::find(files)?.map(Self::compile).transpose()
    }

    /// A template from its text, with the special tokens it may name (`bos_token`, `eos_token`, ...).
    ///
    /// # Errors
    /// [`TextError::TemplateSyntax`] when it does not compile.
    pub fn from_source(template: &str, special_tokens: &[(&str, &str)]) -> Result<Self, TextError> {
        let special_tokens = special_tokens.iter().map(|&(name, token)| (name.into(), token.into())).collect();
        Self::compile(Sources { default: template.to_string(), tool_use: None, special_tokens })
    }

    /// This template with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: TemplateLimits) -> Self {
        self.limits = limits;
        self
    }

    fn compile(sources: Sources) -> Result<Self, TextError> {
        let mut environment = Environment::new();
        environment.set_syntax(functions::syntax()?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        functions::install(&mut environment);
        for (name, token) in sources.special_tokens {
            environment.add_global(name, token);
        }
        let has_tool_template = sources.tool_use.is_some();
        for (name, text) in [(DEFAULT, Some(sources.default)), (TOOL_USE, sources.tool_use)] {
            if let Some(text) = text {
                let text = functions::without_generation_tags(&text);
                environment
                    .add_template_owned(name, text)
                    .map_err(|error| TextError::TemplateSyntax(one_line(&error)))?;
            }
        }
        Ok(ChatTemplate { environment: Arc::new(environment), has_tool_template, limits: TemplateLimits::default() })
    }

    /// Renders `messages` (an array of objects with `role` and `content`, as in the chat APIs). `extra` is what else
    /// the template may ask for (`tools`, `add_system_prompt`, ...). With `add_generation_prompt` the header of the
    /// assistant's next turn is appended.
    ///
    /// # Errors
    /// [`TextError::Caller`] for messages of the wrong form, [`TextError::Limit`] for too much text,
    /// [`TextError::TemplateRefused`], [`TextError::TemplateFuel`] and [`TextError::TemplateFailed`] for what happened
    /// inside the template.
    pub fn render(
        &self,
        messages: Json,
        add_generation_prompt: bool,
        extra: Map<String, Json>,
    ) -> Result<Rendered, TextError> {
        untrusted::check(&messages, &extra, self.limits.input_bytes)?;
        let name = if self.has_tool_template && extra.contains_key("tools") { TOOL_USE } else { DEFAULT };
        let run = |messages: &Json, extra: &Map<String, Json>| self.run(name, messages, add_generation_prompt, extra);
        let text = run(&messages, &extra)?;
        let marks = untrusted::Marks::new(&text, &messages, &extra)?;
        let (marked_messages, marked_extra, texts) = marks.wrap(messages, extra);
        if texts.is_empty() {
            return Ok(Rendered { text, untrusted: Vec::new() });
        }
        // A template that fails on marked text only is one that hides where its text comes from.
        let marked = run(&marked_messages, &marked_extra).ok();
        let untrusted = marks.locate(&text, marked.as_deref(), &texts)?;
        Ok(Rendered { text, untrusted })
    }

    fn run(&self, name: &str, messages: &Json, answer: bool, extra: &Map<String, Json>) -> Result<String, TextError> {
        let mut context = extra.clone();
        context.insert("messages".into(), messages.clone());
        context.insert("add_generation_prompt".into(), answer.into());
        let mut output = Limited { bytes: Vec::new(), limit: self.limits.output_bytes, over: 0 };
        // The allowance belongs to the environment, which is shared; a copy is a few pointers.
        let mut environment = (*self.environment).clone();
        environment.set_fuel(Some(self.limits.fuel));
        let template = environment.get_template(name).map_err(|error| TextError::Bug(one_line(&error)))?;
        let done = template.render_captured_to(Value::from(Serde(&context)), &mut output).map(|_| ());
        if output.over > 0 {
            let (number, limit) = (output.over, self.limits.output_bytes);
            return Err(TextError::Limit { what: "bytes of the rendered prompt", number, limit });
        }
        done.map_err(|error| self.explain(&error))?;
        String::from_utf8(output.bytes).map_err(|error| TextError::Bug(format!("rendered prompt: {error}")))
    }

    fn explain(&self, error: &minijinja::Error) -> TextError {
        if let Some(message) = functions::refusal(error) {
            return TextError::TemplateRefused(message);
        }
        match error.kind() {
            ErrorKind::OutOfFuel => TextError::TemplateFuel { fuel: self.limits.fuel },
            ErrorKind::SyntaxError => TextError::TemplateSyntax(one_line(error)),
            _ => TextError::TemplateFailed(one_line(error)),
        }
    }
}

fn one_line(error: &minijinja::Error) -> String {
    error.to_string().replace('\n', " ")
}

/// Collects what a template writes, up to a limit.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
    /// Bytes that there would have been when the limit was passed; 0 before.
    over: usize,
}

impl Write for Limited {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let total = self.bytes.len() + part.len();
        if total > self.limit {
            self.over = total;
            return Err(io::Error::other("limit of the rendered prompt"));
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
