//! The memory of this process, where the system tells.

/// Most bytes it has held.
pub fn peak() -> Option<u64> {
    field("VmHWM:")
}

/// Bytes it holds now.
pub fn now() -> Option<u64> {
    field("VmRSS:")
}

/// Bytes that the machine has.
pub fn total() -> Option<usize> {
    usize::try_from(read("/proc/meminfo", "MemTotal:")?).ok()
}

fn field(name: &str) -> Option<u64> {
    read("/proc/self/status", name)
}

fn read(file: &str, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(file).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}
