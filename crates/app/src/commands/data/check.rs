//! `zoetrope data check`: reads every row as training would.

use std::io::Write;
use std::sync::Arc;

use zoetrope_lab::data::{
    self, BadRows, BadSample, DataCheck, DataOptions, Dataset, EpochOrder, PlannedSample, ReadAhead, SampleFacts,
    read_ahead,
};
use zoetrope_models::contract::Processor;
use zoetrope_models::contract::media_plan::PlanOptions;
use zoetrope_models::loading;
use zoetrope_system::files::write_whole;

use super::output::{CheckOutput, CheckedFile};
use super::shown::ShownSample;
use crate::cli::{Common, DataCheckArgs};
use crate::commands::request::{media_limits, plan_options};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::model;
use crate::output;
use crate::paths;
use crate::progress::Bars;

/// Rows between two movements of the progress bar.
const SHOW_EVERY: usize = 16;

/// The data files end to end.
struct Joined {
    datasets: Vec<Arc<dyn Dataset>>,
    rows: u64,
}

impl Joined {
    /// The dataset of row `number`, and its own number there.
    fn find(&self, number: u64) -> Option<(&dyn Dataset, u64)> {
        let mut own = number;
        for dataset in &self.datasets {
            match own.checked_sub(dataset.len()) {
                None => return Some((dataset.as_ref(), own)),
                Some(rest) => own = rest,
            }
        }
        None
    }
}

/// Checks, and prints the report.
pub(crate) fn run(args: &DataCheckArgs, common: &Common) -> Result<(), Failure> {
    let plan = plan_options(&args.media)?;
    let interrupt = Interrupt::install();
    let mut bars = Bars::new(common);
    let checkpoint = model::outline(args.model.source(), &mut bars)?;
    let processor = loading::open_processor(&checkpoint)?;
    let mut limits = media_limits(&args.media, common);
    // Rows are read side by side, so each decodes alone.
    let workers = limits.files.threads;
    limits.files.threads = 1;
    let media = args.media_folder.as_deref().map(|folder| paths::of_word(folder.as_os_str()));
    if let Some(folder) = media.as_deref().filter(|folder| !folder.is_dir()) {
        return Err(Failure::usage(format!("--media {}: no such folder", folder.display()), "check the spelling"));
    }
    let options = DataOptions { media, outside: args.outside, limits };
    let (mut datasets, mut files) = (Vec::new(), Vec::new());
    for file in &args.files {
        bars.spin(format!("finding the rows of {}", file.display()));
        let dataset = data::open(&paths::of_word(file.as_os_str()), &options)?;
        files.push(CheckedFile { file: file.display().to_string(), rows: dataset.len() });
        datasets.push(dataset);
    }
    let joined = Arc::new(Joined { rows: datasets.iter().map(|dataset| dataset.len()).sum(), datasets });
    let found = interrupt.while_busy(|| read_all(&joined, &processor, &plan, args, workers, &interrupt, &mut bars));
    let (check, bad) = found?;
    let samples = shown(&joined, processor.as_ref(), &plan, args.samples)?;
    drop(bars);
    let name = model::shown(args.model.model.as_deref());
    let report = CheckOutput::new(name, files, &check, (&bad, args.max_bad.to_string()), args.decode, samples);
    if let Some(file) = &args.plot {
        let written = write_whole(file, |out| out.write_all(report.plot().as_bytes()));
        written.map_err(|error| Failure::file(file, &error))?;
    }
    match common.json {
        true => output::json(&report)?,
        false => output::text(&report.text())?,
    }
    if bad.is_over() {
        let hint = "mend the rows, or bear more of them with --max-bad";
        return Err(Failure::Error(bad.verdict(), Some(hint.to_string())));
    }
    Ok(())
}

/// Reads every row.
fn read_all(
    joined: &Arc<Joined>,
    processor: &Arc<dyn Processor>,
    plan: &PlanOptions,
    args: &DataCheckArgs,
    workers: usize,
    interrupt: &Interrupt,
    bars: &mut Bars,
) -> Result<(DataCheck, BadRows), Failure> {
    let (mut check, mut bad) = (DataCheck::default(), BadRows::new(args.max_bad, joined.rows));
    let ahead = ReadAhead { workers, ..ReadAhead::default() };
    let (rows, decodes) = (Arc::clone(joined), args.decode);
    let (model, options) = (Arc::clone(processor), plan.clone());
    let read = move |number: u64| {
        let (dataset, own) = rows.find(number)?;
        Some(SampleFacts::read(dataset, own, model.as_ref(), &options, decodes))
    };
    let read: Box<dyn Fn(u64) -> Option<Result<SampleFacts, BadSample>> + Send + Sync> = Box::new(read);
    let flag = interrupt.flag();
    for (done, facts) in read_ahead(0..joined.rows, ahead, |_| 0, read).flatten().enumerate() {
        if flag.is_cancelled() {
            return Err(Failure::Interrupted);
        }
        match facts {
            Ok(facts) => check.add(facts),
            // A check reads on where training would stop.
            Err(row) => drop(bad.add(row)),
        }
        if done.is_multiple_of(SHOW_EVERY) {
            bars.count("read", "rows", done, joined.rows as usize);
        }
    }
    Ok((check, bad))
}

/// Some good samples of all the rows, as the model sees them.
fn shown(
    joined: &Joined,
    processor: &dyn Processor,
    plan: &PlanOptions,
    most: usize,
) -> Result<Vec<ShownSample>, Failure> {
    let (order, mut samples) = (EpochOrder::new(joined.rows, 0), Vec::new());
    // Of many bad rows not all are tried again.
    for place in 0..joined.rows.min(20 * most as u64) {
        if samples.len() == most {
            break;
        }
        let Some((dataset, own)) = joined.find(order.index(0, place)) else { break };
        let Ok(sample) = dataset.sample(own) else { continue };
        let Ok(planned) = PlannedSample::new(&sample, processor, plan) else { continue };
        let runs = planned.runs(processor)?;
        let rejected = match sample.of_rejected().map(|sample| PlannedSample::new(&sample, processor, plan)) {
            None => None,
            Some(Err(_)) => continue,
            Some(Ok(planned)) => Some(planned.runs(processor)?),
        };
        let (file, row) = dataset.place(own);
        samples.push(ShownSample::new((&file, row), &planned, (runs, rejected)));
    }
    Ok(samples)
}
