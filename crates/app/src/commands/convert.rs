//! `zoetrope convert MODEL OUT --dtype int8 --language FILE.gguf`.

use zoetrope_models::families::{self, Kind};

use crate::cli::{Common, ConvertArgs, Packing};
use crate::failure::Failure;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// Writes a model with packed matrices; prints its folder.
pub(crate) fn run(args: &ConvertArgs, common: &Common) -> Result<(), Failure> {
    let mut bars = Bars::new(common);
    let folder = model::folder(&args.model, &mut bars)?;
    bars.spin(format!("packing {}", args.model));
    let kind = match args.dtype {
        Packing::Bf16 => Kind::Bf16,
        Packing::Int8 => Kind::Int8,
        Packing::Int4 => Kind::Int4,
    };
    families::convert(&folder, &args.out, kind, args.language.as_deref())?;
    bars.clear();
    if common.json {
        return output::json(&serde_json::json!({ "model": args.out }));
    }
    Ok(output::text(&format!("{}\n", args.out.display()))?)
}
