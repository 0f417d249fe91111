//! `zoetrope convert MODEL OUT --dtype int8 --language FILE.gguf`.

use zoetrope_models::loading;

use crate::cli::{Common, ConvertArgs};
use crate::failure::Failure;
use crate::model;
use crate::output;
use crate::progress::Bars;

/// Quantizes a model: writes it with packed matrices; prints its folder.
pub(crate) fn run(args: &ConvertArgs, common: &Common) -> Result<(), Failure> {
    let mut bars = Bars::new(common);
    let checkpoint = model::checkpoint(args.base.under(Some(&args.model)), &mut bars)?;
    bars.spin(format!("packing {}", model::shown(Some(&args.model))));
    loading::convert(&checkpoint, &args.out, args.dtype.into(), args.language.as_deref())?;
    bars.clear();
    if common.json {
        return output::json(&serde_json::json!({ "model": args.out.display().to_string() }));
    }
    Ok(output::text(&format!("{}\n", args.out.display()))?)
}
