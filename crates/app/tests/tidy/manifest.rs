//! Just enough of a `Cargo.toml` to list its dependencies.

/// (table, name) of every dependency: `("dev-dependencies", "clap")`. Tables of platforms have their whole name.
pub(crate) fn dependencies(manifest: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut table = "";
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = name;
            if let Some((before, name)) = name.rsplit_once('.').filter(|(before, _)| before.ends_with("dependencies")) {
                found.push((before, name));
                table = "";
            }
        } else if table.ends_with("dependencies") && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            // Lines of a list that began on an earlier line have no name of their own.
            if !name.is_empty() && name.starts_with(char::is_alphabetic) {
                found.push((table, name));
            }
        }
    }
    found
}

#[test]
fn dependencies_of_every_table_are_listed() {
    let manifest = "[package]\nname = \"a\"\n[dependencies]\n# why\nb-c = { workspace = true }\nd.workspace = true\n\
                    [dev-dependencies]\ne = \"4\"\n[dependencies.f]\nversion = \"1\"\n[features]\ng = []\n\
                    [target.'cfg(unix)'.dependencies]\nh = \"1\"\n[workspace.dependencies]\ni = \"1\"\n";
    let found = dependencies(manifest);
    let wanted = [
        ("dependencies", "b-c"),
        ("dependencies", "d"),
        ("dev-dependencies", "e"),
        ("dependencies", "f"),
        ("target.'cfg(unix)'.dependencies", "h"),
        ("workspace.dependencies", "i"),
    ];
    assert_eq!(found, wanted);
}
