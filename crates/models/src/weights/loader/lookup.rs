//! Where the rows of a tensor come from, in a stack of archives, and tensors made of them.

use candle_core::{DType, Device, Tensor};

use crate::error::{ModelError, ModelResult};
use crate::weights::archive::Archive;
use crate::weights::formats::{Encoding, RowSource, matrix_dims};

/// The rows of the tensor called `canonical`, or `second` where an archive lacks that; rows that a vocabulary lacks
/// come from the next archive. So does the matrix of a low-rank part: an archive of adapters over one of their base.
pub(crate) fn find_rows(
    archives: &[Archive],
    canonical: &str,
    second: Option<&str>,
    shape: &[usize],
) -> ModelResult<RowSource> {
    let mut missing = None;
    for (at, archive) in archives.iter().enumerate() {
        let rest = &archives[at + 1..];
        let names = || std::iter::once(canonical).chain(second);
        let Some(origin) = names().find_map(|name| archive.locate(name)) else {
            if let Some((down, up, scale)) = names().find_map(|name| archive.low_rank(name)) {
                let base = match archive.adds() {
                    true if rest.is_empty() => None,
                    true => Some(find_rows(rest, canonical, second, shape)?),
                    false => find_base(rest, canonical, second, shape)?,
                };
                let base = base.ok_or_else(|| base_missing(canonical))?;
                return archive.with_low_rank(base, (&down, &up, scale), shape);
            }
            if archive.must_hold(canonical) {
                return Err(archive.missing(canonical));
            }
            missing.get_or_insert_with(|| archive.missing(canonical));
            continue;
        };
        let mut source = archive.source(&origin, shape)?;
        let (has, wants) = (source.rows(), matrix_dims(shape).0);
        if has < wants {
            let rest = find_rows(rest, canonical, second, shape)?.slice(has..wants);
            tracing::info!("{canonical}: {has} of {wants} rows from {}; the others from the model", archive.layout());
            source.segments.extend(rest.segments);
        }
        // Older values of the same tensor are not left over.
        rest.iter().flat_map(|older| names().map(|name| older.locate(name))).for_each(drop);
        return Ok(source);
    }
    Err(missing.unwrap_or_else(|| ModelError::Bug(format!("no archive for tensor {canonical}"))))
}

/// The matrix that a low-rank part of an earlier archive belongs to. A low-rank part that its archive has of the same
/// matrix is an older one, which the earlier archive replaces.
fn find_base(
    archives: &[Archive],
    canonical: &str,
    second: Option<&str>,
    shape: &[usize],
) -> ModelResult<Option<RowSource>> {
    let names = || std::iter::once(canonical).chain(second);
    archives.iter().flat_map(|archive| names().filter_map(|name| archive.low_rank(name))).for_each(drop);
    let place = |archive| names().find_map(|name| Archive::locate_base(archive, name)).map(|origin| (archive, origin));
    archives.iter().find_map(place).map(|(archive, origin)| archive.source(&origin, shape)).transpose()
}

fn base_missing(canonical: &str) -> ModelError {
    ModelError::Caller(format!(
        "only a low-rank part of {canonical} is here; the language model that it was learned on is missing"
    ))
}

/// The whole tensor in `dtype` on `device`; file pages are given back.
pub(super) fn read_tensor(source: &RowSource, shape: &[usize], dtype: DType, device: &Device) -> ModelResult<Tensor> {
    let tensor = match source.single_file() {
        Some((file, bytes, Encoding::Float(stored))) => {
            Tensor::from_raw_buffer(&file[bytes.clone()], stored, shape, &Device::Cpu)?
        }
        _ => {
            let mut values = vec![0.0; shape.iter().product()];
            source.read(0..source.rows(), &mut values)?;
            Tensor::from_vec(values, shape, &Device::Cpu)?
        }
    };
    source.release();
    Ok(tensor.to_dtype(dtype)?.to_device(device)?)
}
