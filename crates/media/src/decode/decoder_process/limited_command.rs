//! Starting another program with a limit on its memory.

use std::ffi::{OsStr, OsString};
use std::process::Command;

/// A command for `program` with `arguments`, its address space limited to `bytes` where the system has `ulimit`.
///
/// The shell only sets the limit and becomes the program. Names and arguments reach it as parameters and are never read
/// as shell text. The program is in a process group of its own: Ctrl-C at a terminal is for us, who end it in order; a
/// decoder that the terminal ended would look like a damaged file.
pub(crate) fn limited_command(program: &OsStr, arguments: &[OsString], bytes: u64) -> Command {
    if !cfg!(unix) {
        let mut command = Command::new(program);
        command.args(arguments);
        return command;
    }
    let mut command = Command::new("/bin/sh");
    let script = format!("ulimit -v {}; exec \"$0\" \"$@\"", (bytes / 1024).max(1));
    command.arg("-c").arg(script).arg(program).args(arguments);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_in_a_process_group_of_its_own() {
        let arguments = [OsString::from("-c"), "echo $$; ps -o pgid= -p $$ || cut -d' ' -f5 /proc/$$/stat".into()];
        let output = limited_command(OsStr::new("/bin/sh"), &arguments, 512 << 20).output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<&str> = output.split_whitespace().collect();
        assert!(numbers.len() == 2 && numbers[0] == numbers[1], "{output}");
    }

    #[test]
    fn the_limit_holds_and_arguments_stay_whole() {
        let arguments = [OsString::from("-c"), "ulimit -v; echo \"$0\"".into(), "a b;echo c".into()];
        let output = limited_command(OsStr::new("/bin/sh"), &arguments, 512 << 20).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "524288\na b;echo c\n");
    }
}
