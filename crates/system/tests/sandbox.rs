//! Rights that a process has taken away from itself. The process is this test program again.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::io::{Error, ErrorKind, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::Command;

use zoetrope_system::sandbox::{ResourceLimits, Rights, confine};

const LIMITS: ResourceLimits = ResourceLimits { memory: 4 << 30, processor_seconds: 60, descriptors: 64 };

/// Runs the test `name` alone, on the first thread of a new process, and gives what it printed.
fn alone(name: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "--ignored", "--nocapture", "--test-threads=1", name];
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a shell command works.
fn works(command: &str) -> bool {
    Command::new("/bin/sh").args(["-c", command]).output().is_ok_and(|output| output.status.success())
}

/// Whether the system does not permit it, rather than that nobody listens.
fn refused(error: &Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

#[test]
#[ignore = "runs in a process of its own"]
fn confined_programs() {
    let (mut file, other) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    writeln!(file, "contents").unwrap();
    let (path, other) = (file.path().display().to_string(), other.path().display().to_string());
    let missing = confine(Rights::Programs { file: file.as_file(), folders: &[] }, &LIMITS).unwrap();
    println!("missing {missing:?}");
    println!("runs {}", works("true"));
    println!("reads its file {}", works(&format!("read x < {path}; test \"$x\" = contents")));
    println!("reads another {}", works(&format!("exec < {other}")));
    println!("reads passwords {}", works("exec < /etc/passwd"));
    println!("writes {}", works(&format!("echo x > {other}.new")));
    println!("writes its file {}", works(&format!("echo x >> {path}")));
    println!("writes to null {}", works("echo x > /dev/null"));
    println!("refuses a network {}", TcpStream::connect("127.0.0.1:9").is_err_and(|error| refused(&error)));
    println!("refuses a port {}", UdpSocket::bind("127.0.0.1:0").is_err_and(|error| refused(&error)));
}

#[test]
fn programs_write_nothing_and_reach_no_network() {
    let said = alone("confined_programs");
    if !said.contains("missing []") {
        eprintln!("this kernel cannot: {said}");
        return;
    }
    for line in [
        "runs true",
        "reads its file true",
        "reads another false",
        "reads passwords false",
        "writes false",
        "writes its file false",
        "writes to null true",
        "refuses a network true",
        "refuses a port true",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}
