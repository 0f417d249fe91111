//! `zoetrope data`: what people's own data is to a model.

mod check;
mod histogram;
mod output;
mod shown;

use crate::cli::{Common, DataArgs, DataCommand};
use crate::failure::Failure;

/// Runs what is asked of data.
pub(crate) fn run(args: &DataArgs, common: &Common) -> Result<(), Failure> {
    match &args.command {
        DataCommand::Check(args) => check::run(args, common),
    }
}
