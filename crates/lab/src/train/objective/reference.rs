//! Log-probabilities of the reference model, kept in a file of the run's folder.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::dpo::PairLogProbs;
use crate::error::LabError;
use crate::train::export::write_tensors;

/// What the reference says of pairs, by their entry of the mixture and their row; `None` of one that is of no use.
pub(in crate::train) type ReferenceTable = BTreeMap<(usize, u64), Option<PairLogProbs>>;

/// SHA-256 of what the log-probabilities depend on.
pub(in crate::train) type ReferenceKey = [u8; 32];

/// What the reference says of the pairs of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::train) struct ReferenceLogProbs {
    /// Of its mixture.
    pub(in crate::train) learned: ReferenceTable,
    /// Of its held-out pairs.
    pub(in crate::train) held_out: ReferenceTable,
}

/// Names of the tensors: `[32]`, and `[N, 2]` each: entry and row, chosen and rejected.
const KEY: &str = "key";
const TABLES: [[&str; 2]; 2] = [["learned.rows", "learned.log_probs"], ["held_out.rows", "held_out.log_probs"]];

impl ReferenceLogProbs {
    /// Bytes of a pair in the file.
    pub(in crate::train) const PAIR_BYTES: u64 = 32;

    /// Pairs that are known.
    pub(super) fn len(&self) -> usize {
        self.learned.len() + self.held_out.len()
    }

    /// What `file` has for `key`; nothing where there is no file, or one of another run.
    ///
    /// # Errors
    /// [`LabError::File`] when it is damaged.
    pub(super) fn read(file: &Path, key: &ReferenceKey) -> Result<Self, LabError> {
        if !file.exists() {
            return Ok(ReferenceLogProbs::default());
        }
        let damaged = |what: String| LabError::File {
            file: file.to_path_buf(),
            what: format!("{what}; remove it to have it computed again"),
        };
        let tensors = candle_core::safetensors::load(file, &Device::Cpu).map_err(|error| damaged(error.to_string()))?;
        let found = tensors.get(KEY).ok_or_else(|| damaged(format!("no tensor {KEY:?}")))?;
        if found.to_vec1::<u8>().map_err(|error| damaged(error.to_string()))? != key {
            return Ok(ReferenceLogProbs::default());
        }
        let [learned, held_out] = TABLES.map(|names| table(&tensors, names));
        let read = |table: Result<ReferenceTable, String>| table.map_err(damaged);
        Ok(ReferenceLogProbs { learned: read(learned)?, held_out: read(held_out)? })
    }

    /// Writes the file as a whole; its folder is made.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub(super) fn write(&self, file: &Path, key: &ReferenceKey) -> Result<(), LabError> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| LabError::File { file: folder.to_path_buf(), what: error.to_string() })?;
        }
        let mut tensors = HashMap::from([(KEY.to_string(), Tensor::new(&key[..], &Device::Cpu)?)]);
        for ([rows, values], table) in TABLES.into_iter().zip([&self.learned, &self.held_out]) {
            if table.is_empty() {
                continue;
            }
            let places: Vec<i64> = table.keys().flat_map(|(entry, row)| [*entry as i64, *row as i64]).collect();
            let nats = |pair: &Option<PairLogProbs>| pair.map_or([f64::NAN; 2], |pair| [pair.chosen, pair.rejected]);
            let nats: Vec<f64> = table.values().flat_map(nats).collect();
            let shape = (table.len(), 2);
            tensors.insert(rows.to_string(), Tensor::from_vec(places, shape, &Device::Cpu)?);
            tensors.insert(values.to_string(), Tensor::from_vec(nats, shape, &Device::Cpu)?);
        }
        write_tensors(file, &tensors, None)
    }
}

/// One table of a file; empty when it is not there.
fn table(tensors: &HashMap<String, Tensor>, [rows, values]: [&str; 2]) -> Result<ReferenceTable, String> {
    let (Some(rows_n2), Some(values_n2)) = (tensors.get(rows), tensors.get(values)) else {
        return Ok(ReferenceTable::new());
    };
    if rows_n2.dtype() != DType::I64 || values_n2.dtype() != DType::F64 || rows_n2.dims() != values_n2.dims() {
        return Err(format!("{rows} and {values} are no numbers of the same pairs"));
    }
    let places = rows_n2.to_vec2::<i64>().map_err(|error| error.to_string())?;
    let values = values_n2.to_vec2::<f64>().map_err(|error| error.to_string())?;
    let mut table = ReferenceTable::new();
    for (place, value) in places.iter().zip(&values) {
        let ([entry, row], [chosen, rejected]) = (&place[..], &value[..]) else {
            return Err(format!("{rows} has {} numbers of a pair, not 2", place.len()));
        };
        let key = usize::try_from(*entry).ok().zip(u64::try_from(*row).ok());
        let Some(key) = key else { return Err(format!("{rows} has a pair {entry}, {row}")) };
        let pair = PairLogProbs { chosen: *chosen, rejected: *rejected };
        table.insert(key, (chosen.is_finite() && rejected.is_finite()).then_some(pair));
    }
    Ok(table)
}
