//! What a model asks for, noted down instead of read; and where each of it is to be read from.
//!
//! A model built over such weights holds nothing. The list says what a converted file must hold, so that tensors can be
//! packed, written and dropped one by one.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use candle_core::DType;
use zoetrope_kernels::map::Mapped;
use zoetrope_kernels::packed::Kind;

use super::files::{Files, packed_name};
use super::gguf::Gguf;
use super::stored::{Part, Rows, Stored};
use super::weights::{Rename, lock};
use crate::error::ModelError;

/// Where a tensor of the language part lies in a GGUF file.
pub struct Twin {
    /// Its name there.
    pub name: String,
    /// Canonical name of the tensor that serves for it in a file that lacks it.
    pub tied: Option<&'static str>,
    /// Whether there is a row a word, so that the file may have fewer rows (others stay the model's) or more.
    pub words: bool,
}

/// How a family's language part is written in GGUF files.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// What such a file calls the kind of model.
    pub architecture: &'static str,
    /// Canonical name to place; `None` for what is not of the language part.
    pub twin: fn(&str) -> Option<Twin>,
}

/// The language part from a GGUF file.
pub(super) struct Language {
    gguf: Gguf,
    dialect: Dialect,
}

impl Language {
    pub(super) fn open(path: &Path, dialect: Dialect) -> Result<Self, ModelError> {
        let gguf = Gguf::open(path)?;
        let (theirs, ours) = (gguf.architecture(), dialect.architecture);
        if theirs != ours {
            let text = format!("{}: architecture {theirs:?}; the model's language part is {ours:?}", path.display());
            return Err(ModelError::Unsupported(text));
        }
        Ok(Language { gguf, dialect })
    }

    fn twin(&self, canonical: &str) -> Option<Twin> {
        (self.dialect.twin)(canonical)
    }
}

/// One tensor that a model asked for.
struct Asked {
    canonical: String,
    shape: Vec<usize>,
    /// To multiply with.
    packed: bool,
    /// As values.
    plain: bool,
}

/// Files, and what a model asked for of them.
pub(super) struct Listed {
    pub(super) files: Files,
    rename: Rename,
    language: Option<Language>,
    kind: Kind,
    /// By name in the files.
    asked: Mutex<BTreeMap<String, Asked>>,
}

/// A tensor of a converted file, found and checked.
pub(crate) struct Found<'a> {
    pub(crate) name: String,
    /// As safetensors writes it.
    pub(crate) dtype: String,
    pub(crate) shape: Vec<usize>,
    /// How long it will be.
    pub(crate) bytes: usize,
    pub(super) way: Way<'a>,
}

/// What becomes of a tensor's values.
pub(super) enum Way<'a> {
    /// The bytes are taken over.
    Copy(&'a Mapped, Range<usize>),
    /// Values become those of this type.
    Cast(Rows<'a>, DType),
    /// A matrix is packed.
    Pack(Rows<'a>, Kind),
}

impl Listed {
    pub(super) fn new(files: Files, rename: Rename, language: Option<Language>, kind: Kind) -> Self {
        Listed { files, rename, language, kind, asked: Mutex::default() }
    }

    /// Notes that the tensor is wanted, as values or `packed`. A layer that was given no packed matrix asks for the
    /// values next, which changes nothing.
    pub(super) fn note(&self, canonical: &str, theirs: &str, shape: &[usize], packed: bool) {
        let mut all = lock(&self.asked);
        let (canonical, shape) = (canonical.to_string(), shape.to_vec());
        let asked = all.entry(theirs.to_string()).or_insert(Asked { canonical, shape, packed: false, plain: false });
        asked.plain |= !packed && !asked.packed;
        asked.packed |= packed;
    }

    /// Whether the source has the tensor.
    pub(super) fn has(&self, canonical: &str, theirs: &str) -> bool {
        match self.language.as_ref().and_then(|language| Some((language, language.twin(canonical)?))) {
            Some((language, twin)) => language.gguf.has(&twin.name),
            None => self.files.has(theirs),
        }
    }

    /// Everything that was asked for, packed matrices first. All of it was looked up and fits.
    pub(super) fn found(&self) -> Result<Vec<Found<'_>>, ModelError> {
        let asked = lock(&self.asked);
        let mut all = Vec::new();
        for (theirs, asked) in asked.iter().filter(|(_, asked)| asked.packed) {
            all.push(self.matrix(theirs, asked)?);
        }
        // A tied table is there twice: as rows to look up and packed as the output's matrix.
        for (theirs, asked) in asked.iter().filter(|(_, asked)| asked.plain) {
            all.push(self.values(theirs, asked)?);
        }
        self.left_over(asked.values())?;
        Ok(all)
    }

    fn matrix(&self, theirs: &str, asked: &Asked) -> Result<Found<'_>, ModelError> {
        let (rows, cols) = (asked.shape[0], asked.shape[1..].iter().product());
        let bytes = self.kind.bytes(rows, cols);
        let way = match self.language(theirs, asked)? {
            Some(rows) => Way::Pack(rows, self.kind),
            None => match self.files.packed_bytes(theirs, &asked.shape, self.kind)? {
                Some((map, bytes)) => Way::Copy(map, bytes),
                None => Way::Pack(self.files.rows_of(theirs, &asked.shape)?, self.kind),
            },
        };
        Ok(Found { name: packed_name(theirs, self.kind), dtype: "U8".to_string(), shape: vec![bytes], bytes, way })
    }

    fn values(&self, theirs: &str, asked: &Asked) -> Result<Found<'_>, ModelError> {
        let own = self.files.rows_of(theirs, &asked.shape)?.parts.swap_remove(0);
        // What is not packed keeps the type that the model has it in.
        let Stored::Float(dtype) = own.stored else {
            return Err(ModelError::Bug(format!("tensor {theirs} is stored as {:?}", own.stored)));
        };
        let way = match self.language(theirs, asked)? {
            Some(rows) => Way::Cast(rows, dtype),
            None => Way::Copy(own.map, own.bytes.clone()),
        };
        let bytes = own.stored.bytes(asked.shape.iter().product());
        let name = dtype.as_str().to_uppercase();
        Ok(Found { name: theirs.to_string(), dtype: name, shape: asked.shape.clone(), bytes, way })
    }

    /// The rows of a tensor of the language part that comes from a GGUF file.
    fn language(&self, theirs: &str, asked: &Asked) -> Result<Option<Rows<'_>>, ModelError> {
        let Some(language) = &self.language else { return Ok(None) };
        let Some(twin) = language.twin(&asked.canonical) else { return Ok(None) };
        let tied = twin.tied.filter(|_| !language.gguf.has(&twin.name)).and_then(|tied| language.twin(tied));
        let name = tied.map_or(twin.name, |tied| tied.name);
        let first = language.gguf.rows(&name, &asked.shape, twin.words)?;
        let cols = *asked.shape.last().unwrap_or(&1);
        let missing = if twin.words { asked.shape[0] - first.rows } else { 0 };
        let (has, mut parts) = (first.rows, vec![first]);
        if missing > 0 {
            // The rows of the tokens that the video model adds.
            let own = match twin.tied {
                Some(tied) if !self.files.has(theirs) => (self.rename)(tied),
                _ => theirs.to_string(),
            };
            let mut own = self.files.rows_of(&own, &asked.shape)?;
            let part = own.parts.swap_remove(0);
            tracing::info!("{name} has {has} of {} rows; the others stay the model's", asked.shape[0]);
            let skipped = part.bytes.start + part.stored.bytes(has * cols);
            parts.push(Part { bytes: skipped..part.bytes.end, rows: missing, ..part });
        }
        Ok(Some(Rows { cols, parts }))
    }

    /// Tensors of the GGUF file that the model has no place for: it has another number of layers, say.
    fn left_over<'a>(&self, asked: impl Iterator<Item = &'a Asked>) -> Result<(), ModelError> {
        let Some(language) = &self.language else { return Ok(()) };
        let wanted: HashSet<String> =
            asked.filter_map(|asked| language.twin(&asked.canonical)).map(|twin| twin.name).collect();
        let mut others: Vec<&str> = language.gguf.names().filter(|name| !wanted.contains(*name)).collect();
        others.sort_unstable();
        match others.first() {
            Some(first) => {
                let text = format!("{} tensors have no place in the model, such as {first}", others.len());
                Err(language.gguf.wrong(text))
            }
            None => Ok(()),
        }
    }
}
