//! The rules, one file each or one file for a few that belong together.

mod circles;
mod dependencies;
mod families;
mod glossary;
mod goldens;
mod lints;
mod machine;
mod names;
mod phrases;
mod rooms;
mod sizes;
mod spelling;
mod terms;

use crate::finding::Finding;
use crate::workspace::Workspace;

pub(crate) const ALL: &[fn(&Workspace) -> Vec<Finding>] = &[
    circles::check,
    dependencies::check,
    families::check,
    glossary::check,
    goldens::check,
    lints::check,
    machine::check,
    names::check,
    rooms::check,
    sizes::check,
    phrases::check,
    spelling::check,
    terms::check,
];
