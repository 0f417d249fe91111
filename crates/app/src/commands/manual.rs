//! `zoetrope completions`, `zoetrope man`, and where to go for what other programs have.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::failure::Failure;
use crate::output;

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "zoetrope", &mut script);
    Ok(output::text(&String::from_utf8_lossy(&script))?)
}

/// Prints the manual page.
pub(crate) fn man() -> Result<(), Failure> {
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(Cli::command()).render(&mut page);
    made.map_err(|error| Failure::new(format!("manual page: {error}")))?;
    Ok(output::text(&String::from_utf8_lossy(&page))?)
}

/// Models are listed and removed by the tools of the hub, whose cache they lie in.
pub(crate) fn cache(verb: &str) -> Failure {
    let hint = format!(
        "models lie in the Hugging Face cache: `hf cache {verb}` does this; `zoetrope cache {verb}` is for films"
    );
    Failure::usage("there is no such command here", &hint)
}
