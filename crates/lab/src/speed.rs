//! How fast a model runs here: patches encoded, prompt tokens read and answer tokens written a second, beside what
//! this machine's instructions and memory allow.

use std::time::Instant;

use candle_core::{Device, Tensor};
use zoetrope_engine::{CHUNK_ROWS, frames_per_chunk};
use zoetrope_kernels::packed::{Kind, Packed, relative_error};
use zoetrope_kernels::peak;
use zoetrope_media::{Frame, Rgb, Time};
use zoetrope_models::contract::{Carry, MediaKind, PlanOptions, Prompt, Source, VideoLanguageModel};
use zoetrope_models::error::ModelError;
use zoetrope_models::parts::cache::Memory;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Frames of one clip.
    pub frames: usize,
    /// Width and height of the frames.
    pub size: (u32, u32),
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens of the answer.
    pub answer: usize,
    /// Repetitions; the median counts.
    pub repeats: usize,
}

/// One line of the table.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Speed {
    /// What was done.
    pub work: &'static str,
    /// The unit of `rate`.
    pub unit: &'static str,
    /// Units a second.
    pub rate: f64,
    /// Multiplications and additions a second in matrix products, 1e9.
    pub giga_operations: f64,
    /// Bytes of weights read a second, 1e9.
    pub giga_bytes: f64,
}

/// What the machine allows at most.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Ceilings {
    /// Threads that were measured.
    pub threads: usize,
    /// 1e9 operations a second of the widest product instruction for the model's weights, where there is one.
    pub giga_operations: Option<f64>,
    /// 1e9 bytes read a second.
    pub giga_bytes: f64,
}

impl Ceilings {
    /// What share of them `speed` reaches: of the bytes where it reads weights for every unit, else of the operations.
    pub fn share(&self, speed: &Speed) -> Option<f64> {
        if speed.giga_bytes > 0.0 {
            return Some(speed.giga_bytes / self.giga_bytes);
        }
        self.giga_operations.map(|most| speed.giga_operations / most)
    }
}

/// One product of the size of the 2B encoder's first perceptron layer, 1024 x 1152 x 4304, with weights held as
/// `weights`; checked against f64 in some places.
pub fn product(weights: &str, repeats: usize) -> Result<Speed, ModelError> {
    let (t, cols, rows) = (1024, 1152, 4304);
    let kind = kind(weights);
    let value = |i: usize| ((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    let (x, w): (Vec<f32>, Vec<f32>) =
        ((0..t * cols).map(value).collect(), (1..=rows * cols).rev().map(value).collect());
    let packed = Packed::pack(kind, &w, rows, cols);
    let mut y = vec![0.0; t * rows];
    let seconds = median(repeats, || {
        packed.multiply(&x, t, None, &mut y);
        Ok(())
    })?;
    if let Err(off) = relative_error(kind, &x, &w, cols, &y) {
        return Err(ModelError::Bug(format!("the {weights} product is off by {off:.3}")));
    }
    let rate = 1.0 / seconds;
    let giga_operations = 2.0 * (t * cols * rows) as f64 * rate / 1e9;
    Ok(Speed { work: "one product", unit: "products/s", rate, giga_operations, giga_bytes: 0.0 })
}

fn kind(weights: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.name() == weights).unwrap_or(Kind::F32)
}

/// The instruction level of the kernels.
pub fn level() -> String {
    format!("{:?}", zoetrope_kernels::level::level()).to_lowercase()
}

/// Bytes a thread reads when memory is measured: more than caches hold.
const FAR: usize = 256 << 20;

/// The ceilings for weights held as `weights` ("int8").
pub fn ceilings(weights: &str) -> Ceilings {
    let threads = rayon::current_num_threads();
    let giga_operations = peak::operations_a_second(kind(weights), threads).map(|n| n / 1e9);
    Ceilings { threads, giga_operations, giga_bytes: peak::bytes_a_second(threads, FAR) / 1e9 }
}

/// Seconds of the median of `repeats` runs.
fn median(repeats: usize, mut work: impl FnMut() -> Result<(), ModelError>) -> Result<f64, ModelError> {
    let mut seconds = Vec::with_capacity(repeats);
    for _ in 0..repeats.max(1) {
        let clock = Instant::now();
        work()?;
        seconds.push(clock.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

fn parameters(model: &dyn VideoLanguageModel, part: &str) -> f64 {
    model.info().parameters.iter().filter(|(name, _)| name == part).map(|(_, n)| *n as f64).sum()
}

/// Frames of noise through processor and encoder, as many at once as in an answer.
pub fn encoding(model: &dyn VideoLanguageModel, load: &Load) -> Result<Speed, ModelError> {
    let (width, height) = load.size;
    let times: Vec<Time> = (0..load.frames as i64).map(|n| Time::new(n, 1)).collect();
    let source = Source { kind: MediaKind::Video, width, height, times, end: load.frames as f64 };
    let options = PlanOptions { max_frames: Some(load.frames), prune: Some(false), ..PlanOptions::default() };
    let plan = model.plan(&[source], &options)?;
    let item = &plan.items[0];
    let frames: Vec<Frame> = item.frames.iter().map(|frame| noise(frame.index, load.size)).collect();
    let mut carry = Carry::default();
    let chunks = frames.chunks(frames_per_chunk(item)).map(|frames| model.prepare(item, frames, &mut carry));
    let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
    let seconds = median(load.repeats, || {
        chunks.iter().try_for_each(|patches| {
            // One value is read so that nothing is left undone.
            model.see(patches)?.tokens.get(0)?.get(0)?.to_scalar::<f32>()?;
            Ok(())
        })
    })?;
    let rate = item.patches() as f64 / seconds;
    let operations = 2.0 * parameters(model, "vision") * rate / 1e9;
    Ok(Speed { work: "encode", unit: "patches/s", rate, giga_operations: operations, giga_bytes: 0.0 })
}

fn noise(index: usize, (width, height): (u32, u32)) -> Frame {
    let byte = |n: usize| ((n + 1).wrapping_mul(2_654_435_761 + 2 * index) >> 13) as u8;
    let data = (0..width as usize * height as usize * 3).map(byte).collect();
    Frame { index, time: Time::new(index as i64, 1), image: Rgb { width, height, data } }
}

/// A prompt of any tokens, in chunks as in an answer, and an answer, one token after the other; two lines.
pub fn language(model: &dyn VideoLanguageModel, load: &Load) -> Result<[Speed; 2], ModelError> {
    let info = model.info();
    let ids = |n: usize| (0..n).map(|i| (i * 7919 % info.vocabulary) as u32).collect::<Vec<u32>>();
    let embed = |ids: &[u32]| model.embed(&Prompt { ids: ids.to_vec(), ..Prompt::default() }, None);
    let prompt: Vec<Tensor> = ids(load.prompt).chunks(CHUNK_ROWS).map(embed).collect::<Result<_, _>>()?;
    let one = embed(&ids(1))?;
    let last = |logits: Tensor| -> Result<(), ModelError> {
        logits.to_device(&Device::Cpu)?.flatten_all()?.get(0)?.to_scalar::<f32>()?;
        Ok(())
    };
    let mut cache = model.new_cache(load.prompt + load.answer + 1)?;
    let read = median(load.repeats, || {
        cache.truncate(0);
        prompt.iter().enumerate().try_for_each(|(number, chunk)| {
            let ends = number + 1 == prompt.len();
            let rows = if ends { vec![chunk.dim(0)? - 1] } else { Vec::new() };
            let logits = model.step(chunk, &mut Memory::Cache(&mut cache), &rows)?;
            if ends { last(logits) } else { Ok(()) }
        })
    })?;
    let written = median(load.repeats, || {
        cache.truncate(load.prompt);
        (0..load.answer).try_for_each(|_| last(model.step(&one, &mut Memory::Cache(&mut cache), &[0])?))
    })?;
    let (read, write) = (load.prompt as f64 / read, load.answer as f64 / written);
    // The head is multiplied for one token of a prompt only.
    let head = info.vocabulary as f64 * info.hidden as f64;
    let all = parameters(model, "language");
    let body = all - head * if info.tied { 1.0 } else { 2.0 };
    let line = |work, rate: f64, values: f64, bytes: f64| Speed {
        work,
        unit: "tokens/s",
        rate,
        giga_operations: 2.0 * values * rate / 1e9,
        giga_bytes: bytes * rate / 1e9,
    };
    Ok([
        line("read the prompt", read, body, 0.0),
        line("write the answer", write, body + head, info.bytes_per_token as f64),
    ])
}
