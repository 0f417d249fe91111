//! Where a model's tensors come from.
//!
//! [`Weights`] looks a tensor up under our own name in a stack of [`Archive`]s. Each archive has a [`NameTable`], which
//! says where a tensor of ours lies in its layout ([`Origin`]): under another name, as rows of a fused tensor, as a
//! low-rank sum. What is found is a matrix that is read some rows at a time, becomes a float tensor, or is packed for
//! the CPU's products.

mod archive;
mod conversion;
mod formats;
mod init;
mod loader;
mod name_table;
mod options;
mod origin;
mod parameter;
mod precision;
mod summary;
mod survey;
#[cfg(test)]
mod tests;

pub use archive::{Archive, RandomFor};
pub(crate) use conversion::ConversionPlan;
pub(crate) use formats::FileBytes;
pub use formats::MappedRows;
pub use formats::pickle::{PickleFile, PickledArrays};
pub(crate) use loader::AdapterSwitch;
pub use loader::Weights;
pub use name_table::{NameTable, OriginFn, TensorNames};
pub use options::{GroupRule, Learn, LoadOptions};
pub use origin::Origin;
pub use parameter::{Parameter, ParameterGroup, ParameterRole};
pub use precision::{HeldAs, Precision};
pub use summary::WeightSummary;
pub use zoetrope_kernels::gemm::WeightType;
