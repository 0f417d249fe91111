//! An open file that travels with a byte over a socket (`SCM_RIGHTS`).

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Sends one byte, and `file` with it.
///
/// # Errors
/// When the other side is gone.
pub fn send_byte(socket: &UnixStream, byte: u8, file: &File) -> io::Result<()> {
    let (descriptors, data) = ([file.as_raw_fd()], [byte]);
    let rights = [ControlMessage::ScmRights(&descriptors)];
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&data)], &rights, no_signal(), None) {
            Err(Errno::EINTR) => {}
            sent => return sent.map(drop).map_err(io::Error::from),
        }
    }
}

/// Receives one byte, and the file that was sent with it; `None` when the other side has closed.
///
/// # Errors
/// When the socket fails.
pub fn receive_byte(socket: &UnixStream) -> io::Result<Option<(u8, Option<File>)>> {
    let mut data = [0];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let (bytes, file) = loop {
        let mut parts = [IoSliceMut::new(&mut data)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty()) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(message) => {
                let mut file = None;
                for control in message.cmsgs()? {
                    if let ControlMessageOwned::ScmRights(descriptors) = control {
                        for descriptor in descriptors {
                            // SAFETY: the kernel has just opened this descriptor for this process; nobody else has it.
                            let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
                            file = Some(File::from(owned));
                        }
                    }
                }
                break (message.bytes, file);
            }
        }
    };
    Ok((bytes > 0).then_some((data[0], file)))
}

/// A closed socket is an error, not a signal.
fn no_signal() -> MsgFlags {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    return MsgFlags::MSG_NOSIGNAL;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    return MsgFlags::empty();
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn an_open_file_travels_with_its_byte() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"contents").unwrap();
        send_byte(&ours, b'O', &file).unwrap();
        (&ours).write_all(b"x").unwrap();
        drop(ours);
        let (byte, received) = receive_byte(&theirs).unwrap().unwrap();
        let (mut received, mut text) = (received.unwrap(), String::new());
        received.rewind().unwrap();
        received.read_to_string(&mut text).unwrap();
        assert_eq!((byte, text.as_str()), (b'O', "contents"));
        let (byte, none) = receive_byte(&theirs).unwrap().unwrap();
        assert!(byte == b'x' && none.is_none());
        assert!(receive_byte(&theirs).unwrap().is_none(), "closed");
    }
}
