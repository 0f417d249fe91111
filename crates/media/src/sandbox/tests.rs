//! What a sandboxed process cannot do, and what its failures cost. The process is this test program, which knows a
//! request that the product does not have: to misbehave.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::options::{Role, SandboxOptions};
use super::process::MediaProcess;
use super::wire::{CUES, read_contents, read_kind, write_message};
use crate::error::MediaError;

/// To the process: misbehave in the way that the next byte says.
const TRIAL: u8 = b'X';

/// Misbehaves. What comes back says how it went.
fn trial(request: u8, input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    assert_eq!(request, TRIAL);
    let said = match read_kind(input)? {
        b'a' => std::process::abort(),
        b'p' => panic!("a decoder panics"),
        b'h' => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        b'c' => loop {
            std::hint::spin_loop();
        },
        b'm' => {
            let mut held = Vec::new();
            loop {
                held.push(vec![1u8; 1 << 20]);
            }
        }
        b'r' => told(std::fs::read("/etc/passwd")),
        b'w' => told(std::fs::write("/tmp/zoetrope-sandbox-was-here", "x")),
        b'd' => told(std::fs::read_dir("/")),
        b't' => told(std::net::TcpStream::connect("127.0.0.1:9")),
        b'u' => told(std::net::UdpSocket::bind("127.0.0.1:0")),
        b'x' => told(std::process::Command::new("/bin/true").status()),
        b's' => told(std::thread::spawn(|| std::fs::read("/etc/passwd")).join().unwrap_or_else(|_| Ok(Vec::new()))),
        b'k' => told(std::fs::metadata("/proc/self/fd/0").and_then(|_| std::fs::File::open("/proc/self/mem"))),
        b'n' => {
            // A frame that is larger than anything allowed.
            let head = [[0xff; 8].as_slice(), &[0; 32], &[0xff; 12]].concat();
            return write_message(output, super::wire::FRAME, &head);
        }
        _ => "unknown".into(),
    };
    write_message(output, CUES, said.as_bytes())
}

fn told<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "it worked".into(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// The process: nothing but a test that is run alone.
#[test]
#[ignore = "the sandboxed process of the other tests"]
fn child_process() {
    super::child::serve(trial).unwrap();
}

fn options() -> SandboxOptions {
    let program = std::env::current_exe().unwrap().into_os_string();
    let arguments = ["--exact", "--ignored", "--nocapture", "--test-threads=1", "sandbox::tests::child_process"];
    let command = std::iter::once(program).chain(arguments.map(Into::into)).collect();
    SandboxOptions {
        command: Some(command),
        memory: 1 << 30,
        answer_time: Duration::from_secs(20),
        ..Default::default()
    }
}

fn process(options: &SandboxOptions) -> MediaProcess {
    let (process, missing) = MediaProcess::start(Role::Decode, options).unwrap();
    if cfg!(target_os = "linux") && !missing.is_empty() {
        eprintln!("this kernel lacks: {missing:?}");
    }
    process
}

/// What the process says after it misbehaved, or why it is gone and after how long.
fn misbehave(options: &SandboxOptions, way: u8) -> Result<String, (MediaError, Duration)> {
    let mut process = process(options);
    process.begin_answer();
    process.request(|out| out.write_all(&[TRIAL, way])).unwrap();
    let started = Instant::now();
    let answer = read_kind(&mut process.answers).and_then(|kind| match kind {
        CUES => read_contents(&mut process.answers, 1000),
        super::wire::FRAME => super::wire::read_frame(&mut process.answers, 1 << 30).map(|_| Vec::new()),
        other => Err(super::wire::unexpected(other)),
    });
    match answer {
        Ok(said) => Ok(String::from_utf8(said).unwrap()),
        Err(error) => Err((process.gone(&error), started.elapsed())),
    }
}

#[test]
fn a_crash_fails_one_request_at_once() {
    for way in [b'a', b'p'] {
        let (error, after) = misbehave(&options(), way).unwrap_err();
        assert!(matches!(error, MediaError::Malformed { part: "file", .. }), "{error}");
        assert!(after < Duration::from_secs(5), "{after:?}");
        println!("crash {}: {after:?}", way as char);
    }
}

#[test]
fn a_process_that_hangs_is_ended_in_time() {
    let options = SandboxOptions { answer_time: Duration::from_secs(2), ..options() };
    let (error, after) = misbehave(&options, b'h').unwrap_err();
    assert!(matches!(error, MediaError::Limit { limit: 2, .. }), "{error}");
    println!("hang: {:?} after its time", after.saturating_sub(options.answer_time));
    assert!(after < Duration::from_secs(4), "{after:?}");
}

#[test]
fn a_process_that_computes_for_ever_is_ended() {
    let options = SandboxOptions { processor_time: Duration::from_secs(1), ..options() };
    let (error, _) = misbehave(&options, b'c').unwrap_err();
    assert!(error.to_string().contains("processor time"), "{error}");
}

#[test]
fn a_process_that_swells_is_ended() {
    let options = SandboxOptions { memory: 512 << 20, ..options() };
    let (error, after) = misbehave(&options, b'm').unwrap_err();
    assert!(error.to_string().contains("needs more than 512 MiB"), "{error}");
    println!("swell: {after:?}");
}

#[test]
fn a_frame_that_lies_takes_no_memory() {
    let (error, _) = misbehave(&options(), b'n').unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn files_networks_and_programs_are_closed_off() {
    for way in *b"rwdtuxsk" {
        let said = misbehave(&options(), way).unwrap_or_else(|(error, _)| panic!("{}: {error}", way as char));
        assert_eq!(said, "PermissionDenied", "{}", way as char);
    }
    assert!(!std::path::Path::new("/tmp/zoetrope-sandbox-was-here").exists());
}
