//! Rules for files, ports and signals (landlock).

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::rights::Rights;

/// The newest rules that are asked for; an older kernel enforces those that it knows.
const NEWEST: ABI = ABI::V6;
/// Folders of programs, of their libraries and of what these read when they start.
const SYSTEM: [&str; 9] =
    ["/bin", "/usr", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/etc/ld.so.cache", "/etc/alternatives"];

/// Takes away every access to files and ports beyond `rights`; `false` when the kernel enforces nothing or only a part.
pub(super) fn restrict(rights: Rights<'_>) -> bool {
    let status = rules(rights).and_then(|rules| rules.restrict_self());
    status.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
}

fn rules(rights: Rights<'_>) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let Rights::Programs { file, folders } = rights else { return Ok(rules) };
    rules = rules.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?;
    for folder in SYSTEM {
        rules = allow(rules, Path::new(folder), AccessFs::from_read(NEWEST))?;
    }
    // Programs that lie elsewhere.
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path).chain(folders.iter().cloned()).filter(|folder| folder.is_absolute()) {
        rules = allow(rules, &folder, AccessFs::from_read(NEWEST))?;
    }
    allow(rules, Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)
}

/// Adds a rule for what is there.
fn allow(rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        // Rights over the entries of a folder make no sense for a file.
        Ok(opened) if path.is_dir() => rules.add_rule(PathBeneath::new(opened, access)),
        Ok(opened) => rules.add_rule(PathBeneath::new(opened, access & AccessFs::from_file(NEWEST))),
        Err(_) => Ok(rules),
    }
}
