//! Where media of a row lies: which file a path means, and whether it may be opened.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use zoetrope_engine::{Limits, MediaSource, open_bytes, open_file, open_part};

use crate::data::fault::{Fault, FaultKind, RowResult};
use crate::data::forms::MediaPlace;
use crate::data::rows::Member;

/// Media that was found and not opened yet.
#[derive(Clone, Debug)]
pub(super) enum FoundMedia {
    /// A file.
    File(PathBuf),
    /// A file inside an archive.
    Member(Member),
    /// Bytes of the row.
    Bytes(Arc<[u8]>),
}

/// The folder that relative paths start from, and whether others are allowed.
#[derive(Clone, Debug)]
pub(super) struct MediaFolder {
    pub(super) root: PathBuf,
    pub(super) outside: bool,
}

impl MediaFolder {
    /// What `place` means: a file of the row's archive by its name or its ending, else a path.
    pub(super) fn find(&self, place: MediaPlace, members: &[Member]) -> RowResult<FoundMedia> {
        let path = match place {
            MediaPlace::Bytes(bytes) => return Ok(FoundMedia::Bytes(bytes.into())),
            MediaPlace::Path(path) => path,
        };
        let names: [&dyn Fn(&Member) -> bool; 3] =
            [&|member| member.name == path, &|member| member.file_name() == path, &|member| member.ending() == path];
        if let Some(member) = names.iter().find_map(|is| members.iter().find(|member| is(member))) {
            return Ok(FoundMedia::Member(member.clone()));
        }
        Ok(FoundMedia::File(self.resolve(Path::new(&path))?))
    }

    /// The file that a path of a row means.
    fn resolve(&self, path: &Path) -> RowResult<PathBuf> {
        if path.is_absolute() {
            let is_inside = path.starts_with(&self.root) && !path.components().any(|c| c == Component::ParentDir);
            return if self.outside || is_inside { Ok(path.to_path_buf()) } else { Err(outside(path)) };
        }
        let mut depth = 0_i64;
        for component in path.components() {
            match component {
                Component::Normal(_) => depth += 1,
                Component::ParentDir => depth -= 1,
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => depth = -1,
            }
            if depth < 0 && !self.outside {
                return Err(outside(path));
            }
        }
        Ok(self.root.join(path))
    }
}

fn outside(path: &Path) -> Fault {
    FaultKind::MediaOutside.of(path.display().to_string())
}

impl FoundMedia {
    /// What errors call it.
    pub(super) fn name(&self) -> String {
        match self {
            FoundMedia::File(path) => path.display().to_string(),
            FoundMedia::Member(member) => format!("{}: {}", member.archive.path().display(), member.name),
            FoundMedia::Bytes(bytes) => format!("{} bytes in the row", bytes.len()),
        }
    }

    /// Opens it: headers only.
    pub(super) fn open(&self, limits: &Limits) -> RowResult<Arc<dyn MediaSource>> {
        let opened = match self {
            FoundMedia::File(path) => {
                if !path.exists() {
                    return Err(FaultKind::MediaMissing.of(path.display().to_string()));
                }
                open_file(path, limits)
            }
            FoundMedia::Member(member) => {
                open_part(&self.name(), member.archive.path(), (member.offset, member.size), limits)
            }
            FoundMedia::Bytes(bytes) => open_bytes(&self.name(), bytes.to_vec(), limits),
        };
        // The engine's error has the name.
        let source = opened.map_err(|error| FaultKind::MediaUnreadable.of(error.to_string()))?;
        match source.stored() {
            None => Ok(source),
            Some(_) => Err(FaultKind::Unsupported.of(format!("{}: stored features are no media", self.name()))),
        }
    }
}
