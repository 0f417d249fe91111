//! Pipes and standard input: what cannot be read at any place is copied to a temporary file.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::error::MediaError;
use crate::ffmpeg::open_file::OpenFile;
use crate::options::limits::check_limit;

/// Bytes read at a time.
const BLOCK: usize = 1 << 18;
/// Blocks between two looks at the room that the disk has left.
const BLOCKS_A_LOOK: u64 = 64;
/// Bytes that a copy leaves free on the disk, where that is less than a twentieth of it.
const LEFT_FREE: u64 = 1 << 30;

/// Copies `path` to a temporary file where it is a pipe or standard input (`-`), at most `limit` bytes and never to the
/// last of the disk. `None` for a regular file, which needs no copy.
///
/// # Errors
/// `Limit` for more bytes; `Io` as the system reports it; `Caller` for folders, devices, URLs, pipes that give nothing
/// for `silence` and those that do not fit on the disk.
pub(crate) fn spool(path: &Path, limit: u64, silence: Duration) -> Result<Option<OpenFile>, MediaError> {
    if path == Path::new("-") {
        if std::io::stdin().is_terminal() {
            return Err(MediaError::Caller("standard input is a terminal: send a file into it (`< clip.mp4`)".into()));
        }
        return copy(|| Ok(std::io::stdin()), "standard input", limit, silence).map(Some);
    }
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound && is_url(path) => {
            return Err(MediaError::Caller("URLs are not fetched: download the file first".into()));
        }
        Err(error) => return Err(error.into()),
    };
    if meta.is_dir() {
        return Err(MediaError::Caller("this is a folder, not a file".into()));
    }
    if is_device(&meta) {
        return Err(MediaError::Caller("this is a device, not a file or a pipe".into()));
    }
    if meta.is_file() && (meta.len() > 0 || !has_hidden_bytes(path)) {
        return Ok(None);
    }
    let path = path.to_path_buf();
    // Opening a pipe waits for its writer, so that is done on the reader's thread as well.
    copy(move || File::open(path), "the pipe", limit, silence).map(Some)
}

/// Whether a file of no length has bytes nevertheless, as those that the system makes up do (`/proc`).
fn has_hidden_bytes(path: &Path) -> bool {
    File::open(path).and_then(|mut file| file.read(&mut [0])).is_ok_and(|n| n > 0)
}

/// Whether it is a device, which may have no end (`/dev/zero`).
fn is_device(meta: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        meta.file_type().is_char_device() || meta.file_type().is_block_device()
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        false
    }
}

/// Fails when `bytes` of `name` leave too little of the disk that temporary files are on.
fn check_disk(name: &str, bytes: u64) -> Result<(), MediaError> {
    let folder = std::env::temp_dir();
    match zoetrope_system::files::disk_space(&folder) {
        Ok(Some(disk)) if disk.available < LEFT_FREE.min(disk.total / 20) => {
            let text = format!(
                "{name} has not ended after {bytes} bytes, and {} is nearly full: {} bytes are left (TMPDIR names \
                 another folder)",
                folder.display(),
                disk.available
            );
            Err(MediaError::Caller(text))
        }
        _ => Ok(()),
    }
}

fn is_url(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let scheme = text.split_once(':').map(|(scheme, rest)| (scheme, rest.starts_with('/')));
    scheme.is_some_and(|(scheme, path)| path && scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Copies what `open` gives. The thread that reads is left behind when the pipe stays silent: a blocking read cannot
/// be ended from outside, and it ends with the program.
fn copy<R: Read>(
    open: impl FnOnce() -> std::io::Result<R> + Send + 'static,
    name: &'static str,
    limit: u64,
    silence: Duration,
) -> Result<OpenFile, MediaError> {
    let (blocks, received) = sync_channel::<std::io::Result<Vec<u8>>>(4);
    std::thread::Builder::new().name("media pipe".into()).spawn(move || {
        let mut input = match open() {
            Ok(input) => input,
            Err(error) => return drop(blocks.send(Err(error))),
        };
        let mut buffer = vec![0; BLOCK];
        loop {
            let block = match input.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => Ok(buffer[..n].to_vec()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = block.is_err();
            if blocks.send(block).is_err() || failed {
                return;
            }
        }
    })?;
    let mut file = OpenFile::temporary()?;
    let mut bytes = 0u64;
    for block_number in 0u64.. {
        match received.recv_timeout(silence) {
            Ok(block) => {
                let block = block?;
                bytes += block.len() as u64;
                check_limit("bytes of the file", bytes, limit)?;
                if block_number.is_multiple_of(BLOCKS_A_LOOK) {
                    check_disk(name, bytes)?;
                }
                file.write_all(&block)?;
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let text = format!(
                    "{name} gave nothing for {} s after {bytes} bytes: is anything writing to it?",
                    silence.as_secs_f64()
                );
                return Err(MediaError::Caller(text));
            }
        }
    }
    file.flush()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_stream_is_copied_up_to_the_limit() {
        let bytes: Vec<u8> = (0..600_000u32).map(|i| (i % 251) as u8).collect();
        let cloned = bytes.clone();
        let file = copy(move || Ok(std::io::Cursor::new(cloned)), "it", 600_000, SECOND).unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), bytes);
        let error = copy(move || Ok(std::io::Cursor::new(bytes)), "it", 599_999, SECOND).unwrap_err();
        assert!(matches!(error, MediaError::Limit { limit: 599_999, .. }), "{error}");
    }

    #[test]
    fn regular_files_need_no_copy_and_urls_are_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(spool(file.path(), 10, SECOND).unwrap().is_none());
        let error = spool(Path::new("https://example.org/a.mp4"), 10, SECOND).unwrap_err();
        assert_eq!(error.to_string(), "URLs are not fetched: download the file first");
        assert!(matches!(spool(Path::new("/nonexistent/a:b.mp4"), 10, SECOND), Err(MediaError::Io(_))));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_refused_before_it_is_read() {
        for device in ["/dev/zero", "/dev/null"] {
            let error = spool(Path::new(device), u64::MAX, SECOND).err().unwrap();
            assert_eq!(error.to_string(), "this is a device, not a file or a pipe", "{device}");
        }
    }

    /// A process that is killed leaves no copy behind.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_copy_has_no_name() {
        let file = copy(|| Ok(&b"frames"[..]), "it", 100, SECOND).unwrap();
        let name = std::fs::read_link(file.path()).unwrap();
        assert!(!name.exists(), "{name:?}");
        assert_eq!(std::fs::read(file.path()).unwrap(), b"frames");
    }

    #[cfg(unix)]
    #[test]
    fn a_fifo_is_read_and_a_silent_one_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let silent = spool(&path, 100, Duration::from_millis(50)).unwrap_err();
        assert!(silent.to_string().contains("gave nothing for 0.05 s after 0 bytes"), "{silent}");
        let second = folder.path().join("second");
        assert!(std::process::Command::new("mkfifo").arg(&second).status().unwrap().success());
        let writer = std::thread::spawn({
            let second = second.clone();
            move || std::fs::write(second, b"frames")
        });
        let file = spool(&second, 100, 10 * SECOND).unwrap().unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), b"frames");
    }
}
