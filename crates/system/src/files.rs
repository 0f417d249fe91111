//! Files and folders that change as a whole or not at all, whenever the process is killed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// Writes a file under a temporary name beside its place; it has its own name when its bytes are on disk.
///
/// # Errors
/// When `write` or the file system fails; the file is unchanged then.
pub fn write_whole(file: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    replace(file, |part| {
        let mut part = File::create_new(part)?;
        write(&mut part)?;
        part.sync_all()
    })
}

/// [`write_whole`] for a library that writes by name: `write` makes the file that it is given. Whoever may read a file
/// that is simply made may read it: some libraries make theirs for their user alone.
///
/// # Errors
/// As [`write_whole`].
pub fn replace_whole(file: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    replace(file, |part| {
        let usual = File::create_new(part)?.metadata()?.permissions();
        std::fs::remove_file(part)?;
        write(part)?;
        let part = OpenOptions::new().write(true).open(part)?;
        part.set_permissions(usual)?;
        part.sync_all()
    })
}

/// Gives what `write` has made at a temporary name, and brought to disk, the name of `file`.
fn replace(file: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_os_string();
    name.push(".zoetrope-part");
    let part = file.with_file_name(name);
    // A device or a pipe would be replaced by a file, too.
    match file.metadata() {
        Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is a device or a pipe, not a file")),
        _ => {}
    }
    // The file at the temporary name may be a link to one that is not ours.
    remove(&part)?;
    let written = write(&part).and_then(|()| std::fs::rename(&part, file));
    if written.is_err() {
        // The disk may be full: what is half written goes.
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// Whether two paths name the same existing file or folder.
pub fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Brings the names in a folder to disk. Systems where folders cannot be opened do so themselves.
///
/// # Errors
/// When the disk fails.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Takes the lock that the file `file` stands for, until the result is dropped; `None` when another process has it.
/// Where the file system has no locks, everyone gets it.
///
/// # Errors
/// When the file cannot be made.
pub fn lock(file: &Path) -> io::Result<Option<File>> {
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(file)?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(lock)),
    }
}

/// Removes a file, a link or a whole folder; nothing is there afterwards.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// All of them.
    pub total: u64,
    /// Those that this user may still write.
    pub available: u64,
}

/// The space of the file system that `folder` lies on; `None` where the system does not tell.
///
/// # Errors
/// When there is no such folder.
#[cfg(unix)]
pub fn disk_space(folder: &Path) -> io::Result<Option<DiskSpace>> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes())?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` ends with a zero byte and `found` is a whole `statvfs` to write to; both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a `statvfs` is plain numbers, of which zero is one, and the call has succeeded.
    let found = unsafe { found.assume_init() };
    // The numbers have other widths on other systems.
    #[allow(clippy::unnecessary_cast, reason = "32 bits on some systems")]
    let (unit, total, available) = (found.f_frsize as u64, found.f_blocks as u64, found.f_bavail as u64);
    Ok(Some(DiskSpace { total: total.saturating_mul(unit), available: available.saturating_mul(unit) }))
}

/// The space of the file system that `folder` lies on; `None` where the system does not tell.
///
/// # Errors
/// When there is no such folder.
#[cfg(not(unix))]
pub fn disk_space(folder: &Path) -> io::Result<Option<DiskSpace>> {
    folder.metadata().map(|_| None)
}

/// Makes a folder, and those above it that are missing. On Unix only this user may look into the ones that are made.
///
/// # Errors
/// When the file system does not allow it.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_of_a_library_can_be_read_by_whoever_may_read_ours() {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let place = tempfile::tempdir().unwrap();
        let [ours, theirs] = ["ours", "theirs"].map(|name| place.path().join(name));
        std::fs::write(&ours, "").unwrap();
        let private = |part: &Path| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).open(part)?.write_all(b"x")
        };
        replace_whole(&theirs, private).unwrap();
        let mode = |file: &Path| std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode(&theirs), mode(&ours));
        for (place, word) in [("/dev/null", "device"), ("/", "")] {
            let refused = write_whole(Path::new(place), |_| panic!("written")).unwrap_err();
            assert!(refused.to_string().contains(word), "{refused}");
        }
        // A caller that chooses is obeyed.
        let closed = |file: &mut File| file.set_permissions(std::fs::Permissions::from_mode(0o600));
        write_whole(&theirs, closed).unwrap();
        assert_eq!(mode(&theirs) & 0o777, 0o600);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("models");
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("a.json");
        write_whole(&file, |out| out.write_all(b"one")).unwrap();
        let failed =
            write_whole(&file, |out| out.write_all(b"tw").and_then(|()| Err(io::ErrorKind::StorageFull.into())));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(std::fs::read(&file).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left");
        let (first, second) = (lock(&folder.join("lock")).unwrap(), lock(&folder.join("lock")).unwrap());
        assert!(first.is_some() && second.is_none());
        drop(first);
        assert!(lock(&folder.join("lock")).unwrap().is_some());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&folder, folder.join("link")).unwrap();
            assert!(is_same(&folder, &folder.join("link/.")) && !is_same(&folder, &file));
            remove(&folder.join("link")).unwrap();
        }
        remove(&folder).unwrap();
        assert!(remove(&folder).is_ok() && !folder.exists());
    }

    #[test]
    fn a_disk_has_space_and_private_folders() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a").join("b");
        assert!(disk_space(&folder).is_err());
        create_private_folder(&folder).unwrap();
        create_private_folder(&folder).unwrap();
        let space = disk_space(&folder).unwrap();
        assert_eq!(space.is_some(), cfg!(unix));
        assert!(space.is_none_or(|space| space.total > 0 && space.available <= space.total));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(place.path().join("a")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
    }
}
