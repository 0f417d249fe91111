//! Evaluation: accuracy on the held-out synthetic set by exact match, beside the chance level.

mod held_out;
mod run;
mod score;

pub use held_out::{EvalItem, held_out_set, held_out_set_of};
pub use run::{MAX_ANSWER_TOKENS, run};
pub use score::{EvalReport, Miss, ScoreRow, normalize_answer, score, wilson};
