//! `zoetrope completions`, `zoetrope man`, and where to go for what other programs have.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use zoetrope_system::files::write_whole;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::failure::Failure;
use crate::output;

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "zoetrope", &mut script);
    Ok(output::text(&String::from_utf8_lossy(&script))?)
}

/// Prints a manual page, or writes all of them.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    // Only now the pages of commands know their names and the options of every command.
    command.build();
    if let Some(folder) = &args.out {
        return write_pages(&command, folder);
    }
    let command = match &args.command {
        None => &command,
        Some(name) => command.find_subcommand(name).ok_or_else(|| {
            Failure::usage(format!("no command is called {name:?}"), "`zoetrope --help` lists the commands")
        })?,
    };
    Ok(output::text(&String::from_utf8_lossy(&page(command)?.1))?)
}

/// Writes `zoetrope.1` and a page for every command that is told of.
fn write_pages(command: &clap::Command, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    let told = command.get_subcommands().filter(|command| !command.is_hide_set());
    let mut count = 0;
    for command in std::iter::once(command).chain(told) {
        let (name, text) = page(command)?;
        let file = folder.join(name);
        write_whole(&file, |out| out.write_all(&text)).map_err(|error| Failure::file(&file, &error))?;
        count += 1;
    }
    Ok(output::text(&format!("{count} pages in {}\n", folder.display()))?)
}

/// A page and the name of its file.
fn page(command: &clap::Command) -> Result<(String, Vec<u8>), Failure> {
    let man = clap_mangen::Man::new(command.clone());
    let (name, mut text) = (man.get_filename(), Vec::new());
    man.render(&mut text).map_err(|error| Failure::new(format!("manual page {name}: {error}")))?;
    Ok((name, text))
}

/// Models are listed and removed by the tools of the hub, whose cache they lie in.
pub(crate) fn cache(verb: &str) -> Failure {
    let hint = format!(
        "models lie in the Hugging Face cache: `hf cache {verb}` does this; `zoetrope cache {verb}` is for films"
    );
    Failure::usage("there is no such command here", &hint)
}
