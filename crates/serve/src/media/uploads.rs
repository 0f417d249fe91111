//! Files that clients have uploaded, by id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::spool::Spooled;
use crate::error::{ApiError, quoted};

/// What all ids begin with.
pub(crate) const PREFIX: &str = "file-";

/// An uploaded file.
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) purpose: String,
    pub(crate) created: u64,
    pub(crate) spooled: Arc<Spooled>,
    /// What it shows.
    pub(crate) facts: Value,
}

impl Upload {
    /// As clients see it.
    pub(crate) fn card(&self) -> Value {
        json!({
            "id": self.id, "object": "file", "bytes": self.spooled.bytes, "created_at": self.created,
            "filename": self.name, "purpose": self.purpose, "status": "processed", "zoetrope": self.facts,
        })
    }
}

/// All of them, at most so many.
pub(crate) struct Uploads {
    files: Mutex<BTreeMap<String, Arc<Upload>>>,
    most: usize,
}

impl Uploads {
    pub(crate) fn new(most: usize) -> Self {
        Uploads { files: Mutex::default(), most }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Upload>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a file under a new id, which cannot be guessed.
    ///
    /// # Errors
    /// 429 when there are too many.
    pub(crate) fn add(
        &self,
        name: String,
        purpose: String,
        spooled: Arc<Spooled>,
        facts: Value,
    ) -> Result<Arc<Upload>, ApiError> {
        let id = format!("{PREFIX}{}", crate::ids::random());
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let upload = Arc::new(Upload { id: id.clone(), name, purpose, created, spooled, facts });
        let mut files = self.files();
        if files.len() >= self.most {
            let text = format!("{} files are stored, which is the limit: delete some", files.len());
            return Err(ApiError::busy(text, 60));
        }
        files.insert(id, Arc::clone(&upload));
        Ok(upload)
    }

    /// The file of an id.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Upload>, ApiError> {
        self.files().get(id).cloned().ok_or_else(|| missing(id))
    }

    /// Forgets a file; it goes when no request uses it any more.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn remove(&self, id: &str) -> Result<Arc<Upload>, ApiError> {
        self.files().remove(id).ok_or_else(|| missing(id))
    }

    /// All files, the newest first.
    pub(crate) fn list(&self) -> Vec<Arc<Upload>> {
        let mut all: Vec<Arc<Upload>> = self.files().values().cloned().collect();
        all.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        all
    }
}

fn missing(id: &str) -> ApiError {
    ApiError::not_found("file_not_found", format!("there is no file {}", quoted(id)))
}
