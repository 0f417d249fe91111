//! The part of a store that belongs to one model, and to one way of reading films.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::DType;
use sha2::{Digest, Sha256};
use zoetrope_media::OpenOptions;
use zoetrope_models::contract::VideoLanguageModel;
use zoetrope_models::contract::feature_file::{FORMAT, ModelIdentity, StoredFeatures};
use zoetrope_models::kv::{BLOCK, KvDtype, KvShape};
use zoetrope_models::weights::ParameterGroup;

use super::entry::{EntryKind, EntryTexts, HEADER, Key};
use super::shared::Store;

/// The version of what a block of keys and values is, beside the program's.
const KV_FORMAT: u32 = 2;
/// Files of features that are kept open, so that they are not checked for each question.
const OPEN_FILES: usize = 32;
/// Films whose names are remembered for the headers of blocks.
const NAMES: usize = 4096;

/// A [`Store`] for one model. Cloning it is cheap.
#[derive(Clone)]
pub struct ModelStore(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    name: String,
    model: ModelIdentity,
    reading: String,
    /// What the encoder gives.
    feature_dtype: DType,
    kv: (KvShape, KvDtype),
    /// Says of which model blocks are.
    seed: Key,
    open: Mutex<VecDeque<(Key, Arc<StoredFeatures>)>>,
    names: Mutex<HashMap<u128, String>>,
}

impl std::fmt::Debug for ModelStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelStore").field("folder", &self.0.store.folder()).field("model", &self.0.model).finish()
    }
}

impl ModelStore {
    /// The part of `store` for `model`, which has `identity` and is called `name`, and for films that are read as
    /// `files` says.
    pub fn new(
        store: &Arc<Store>,
        name: &str,
        identity: ModelIdentity,
        model: &dyn VideoLanguageModel,
        files: &OpenOptions,
    ) -> Self {
        let (weights, reading) = (model.weights(), reading(files));
        let kv = (model.processor().info().kv, weights.kv_dtype());
        let held_as = [ParameterGroup::Vision, ParameterGroup::Projector, ParameterGroup::Language].map(|group| {
            let held_as = weights.group(group).held_as();
            format!("{} {}", held_as.name(), held_as.dtype.as_str())
        });
        let device = if weights.device().is_cpu() { "cpu" } else { "accelerator" };
        let (KvShape { layers, heads, width }, dtype) = kv;
        let own = [
            format!("zoetrope keys and values {KV_FORMAT}, features {FORMAT}, blocks of {BLOCK}"),
            env!("CARGO_PKG_VERSION").to_string(),
            identity.family.clone(),
            identity.checkpoint.clone(),
            identity.held_as.clone(),
            held_as.join(", "),
            device.to_string(),
            format!("{} {layers} {heads} {width}", dtype.name()),
            reading.clone(),
        ];
        ModelStore(Arc::new(Shared {
            store: Arc::clone(store),
            feature_dtype: weights.group(ParameterGroup::Vision).held_as().dtype,
            name: name.to_string(),
            model: identity,
            reading,
            kv,
            seed: digest_of(own.iter().map(String::as_bytes)),
            open: Mutex::default(),
            names: Mutex::default(),
        }))
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// The model that features are of.
    pub(crate) fn model(&self) -> &ModelIdentity {
        &self.0.model
    }

    /// How films are read.
    pub(crate) fn reading(&self) -> &str {
        &self.0.reading
    }

    /// The type of features that the encoder gives.
    pub(crate) fn feature_dtype(&self) -> DType {
        self.0.feature_dtype
    }

    /// Where the chain of digests of a prompt's blocks begins.
    pub(crate) fn seed(&self) -> &Key {
        &self.0.seed
    }

    /// SHA-256 of a file's bytes, where it is a regular file.
    pub(crate) fn content_digest(&self, file: &Path) -> Option<Key> {
        self.0.store.content_digest(file).ok()
    }

    /// The features of `key`, checked when they are opened.
    pub(crate) fn features(&self, key: &Key) -> Option<Arc<StoredFeatures>> {
        // Also notes the use, and sees that another process has removed them.
        self.0.store.find(EntryKind::Features, key)?;
        let opened = |open: &VecDeque<(Key, Arc<StoredFeatures>)>| {
            open.iter().find(|(own, _)| own == key).map(|(_, stored)| Arc::clone(stored))
        };
        if let Some(stored) = opened(&lock(&self.0.open)) {
            return Some(stored);
        }
        // Without the lock: it reads all of the file.
        let stored = Arc::new(self.0.store.features(key)?);
        let mut open = lock(&self.0.open);
        open.push_back((*key, Arc::clone(&stored)));
        if open.len() > OPEN_FILES {
            open.pop_front();
        }
        Some(stored)
    }

    /// Whether the features of `key` are there.
    pub(crate) fn has_features(&self, key: &Key) -> bool {
        self.0.store.find(EntryKind::Features, key).is_some()
    }

    /// Lets features of `film` be written: `memory` bytes in memory, `payload` bytes on disk.
    pub(crate) fn put_features(
        &self,
        key: Key,
        film: &str,
        (memory, payload): (usize, u64),
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()> + Send + 'static,
    ) -> bool {
        let texts = self.texts(self.0.feature_dtype.as_str().to_string(), film.to_string());
        self.0.store.put(EntryKind::Features, key, texts, memory, payload, write)
    }

    /// Bytes of a block of keys and values, and of its file.
    pub(crate) fn block_bytes(&self) -> (usize, u64) {
        let (shape, dtype) = self.0.kv;
        let bytes = shape.bytes_per_block(dtype);
        (bytes, (HEADER + bytes) as u64)
    }

    /// How many of the blocks of `keys`, from the first on, are there.
    pub(crate) fn known_blocks(&self, keys: &[Key]) -> usize {
        keys.iter().take_while(|key| self.has_block(key)).count()
    }

    /// Whether the block of `key` is there.
    pub(crate) fn has_block(&self, key: &Key) -> bool {
        self.0.store.find(EntryKind::KeysValues, key) == Some(self.block_bytes().1)
    }

    /// The bytes of the block of `key`.
    pub(crate) fn block(&self, key: &Key) -> Option<Vec<u8>> {
        self.0.store.payload(EntryKind::KeysValues, key, self.block_bytes().0)
    }

    /// Whether a block would be taken now.
    pub(crate) fn takes_block(&self) -> bool {
        self.0.store.has_room(self.block_bytes().0)
    }

    /// Lets a block be written that shows the media of `visual` keys.
    pub(crate) fn put_block(&self, key: Key, visual: &[u128], bytes: Vec<u8>) -> bool {
        let (KvShape { layers, heads, width }, dtype) = self.0.kv;
        let names = lock(&self.0.names);
        let mut films: Vec<&str> = visual.iter().filter_map(|key| names.get(key)).map(String::as_str).collect();
        films.dedup();
        let detail = format!("{}, {layers} layers of {heads} heads of {width}", dtype.name());
        let texts = self.texts(detail, films.join(", "));
        let (memory, payload) = (bytes.len(), bytes.len() as u64);
        self.0.store.put(EntryKind::KeysValues, key, texts, memory, payload, move |out| out.write_all(&bytes))
    }

    /// Notes which film the visual tokens of `key` show.
    pub(crate) fn note_name(&self, key: u128, film: &str) {
        let mut names = lock(&self.0.names);
        if names.len() >= NAMES {
            names.clear();
        }
        names.insert(key, film_name(film));
    }

    fn texts(&self, detail: String, film: String) -> EntryTexts {
        let program = env!("CARGO_PKG_VERSION").to_string();
        EntryTexts { program, model: self.0.name.clone(), detail, film: film_name(&film) }
    }
}

/// The name of a file without its folders.
fn film_name(film: &str) -> String {
    Path::new(film).file_name().map_or_else(|| film.to_string(), |name| name.to_string_lossy().into_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The digest of parts with their lengths.
pub(crate) fn digest_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Key {
    let add = |digest: Sha256, part: &[u8]| digest.chain_update((part.len() as u64).to_le_bytes()).chain_update(part);
    parts.into_iter().fold(Sha256::new(), add).finalize().into()
}

/// What changes the pixels of a film, of the options that it is opened with.
pub(crate) fn reading(files: &OpenOptions) -> String {
    let OpenOptions { track, sample_aspect, high_dynamic_range, alpha, frame_rate, .. } = files;
    format!("track {track:?}, {sample_aspect:?}, {high_dynamic_range:?}, {alpha:?}, rate {frame_rate:?}")
}
