//! The memory of this process, where the system tells.

/// Most bytes it has held.
pub(crate) fn peak() -> Option<u64> {
    field("VmHWM:")
}

/// Bytes it holds now.
pub(crate) fn now() -> Option<u64> {
    field("VmRSS:")
}

fn field(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}
