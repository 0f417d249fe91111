//! The rules of sampling, each on logits whose probabilities are known.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use zoetrope_text::Tokenizer;

use super::pick::unit_f64;
use super::{Sampler, Sampling, TokenLogprob, token_logprobs};

fn sampling() -> Sampling {
    Sampling { temperature: 1.0, ..Sampling::default() }
}

fn distribution(sampling: &Sampling, prompt: &[u32], logits: &[f32]) -> Vec<(u32, f64)> {
    Sampler::new(sampling, prompt).expect("valid").distribution(logits).expect("numbers")
}

fn assert_close(got: &[(u32, f64)], want: &[(u32, f64)]) {
    assert_eq!(got.len(), want.len(), "{got:?} against {want:?}");
    for (g, w) in got.iter().zip(want) {
        assert!(g.0 == w.0 && (g.1 - w.1).abs() < 1e-6, "{got:?} against {want:?}");
    }
}

/// Natural logarithms of 0.5, 0.25, 0.125, 0.125: a softmax gives these numbers back.
fn logits() -> Vec<f32> {
    [0.25f32, 0.5, 0.125, 0.125].iter().map(|p| p.ln()).collect()
}

#[test]
fn plain_sampling_is_softmax() {
    assert_close(&distribution(&sampling(), &[], &logits()), &[(1, 0.5), (0, 0.25), (2, 0.125), (3, 0.125)]);
}

#[test]
fn temperature_a_half_squares_the_odds() {
    // 0.5^2 : 0.25^2 : 0.125^2 : 0.125^2 = 16 : 4 : 1 : 1
    let half = Sampling { temperature: 0.5, ..sampling() };
    let want = [(1, 16.0 / 22.0), (0, 4.0 / 22.0), (2, 1.0 / 22.0), (3, 1.0 / 22.0)];
    assert_close(&distribution(&half, &[], &logits()), &want);
}

#[test]
fn top_k_keeps_ties_with_the_kth() {
    let two = Sampling { top_k: Some(2), ..sampling() };
    assert_close(&distribution(&two, &[], &logits()), &[(1, 2.0 / 3.0), (0, 1.0 / 3.0)]);
    let three = Sampling { top_k: Some(3), ..sampling() };
    assert_eq!(distribution(&three, &[], &logits()).len(), 4, "ids 2 and 3 are equal");
    let many = Sampling { top_k: Some(50), ..sampling() };
    assert_eq!(distribution(&many, &[], &logits()).len(), 4);
}

#[test]
fn top_p_drops_the_tail_whose_mass_fits() {
    // Tails: 0.125, 0.25, 0.5. With p = 0.7 a tail of at most 0.3 goes: ids 3 and 2.
    let p = Sampling { top_p: Some(0.7), ..sampling() };
    assert_close(&distribution(&p, &[], &logits()), &[(1, 2.0 / 3.0), (0, 1.0 / 3.0)]);
    // With p = 0.8 a tail of at most 0.2 goes: of the equal ids 2 and 3 the larger.
    let p = Sampling { top_p: Some(0.8), ..sampling() };
    assert_close(&distribution(&p, &[], &logits()), &[(1, 4.0 / 7.0), (0, 2.0 / 7.0), (2, 1.0 / 7.0)]);
    let tiny = Sampling { top_p: Some(1e-9), ..sampling() };
    assert_close(&distribution(&tiny, &[], &logits()), &[(1, 1.0)]);
}

#[test]
fn top_p_sees_what_top_k_left() {
    // After top-k 2 the masses are 2/3 and 1/3; a tail of at most 0.4 goes.
    let both = Sampling { top_k: Some(2), top_p: Some(0.6), ..sampling() };
    assert_close(&distribution(&both, &[], &logits()), &[(1, 1.0)]);
}

#[test]
fn repetition_penalty_divides_positive_and_multiplies_negative_logits() {
    let penalty = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
    let mut sampler = Sampler::new(&penalty, &[0, 3, 3]).expect("valid");
    assert_eq!(*sampler.scores(&[4.0, 3.0, -1.0, -1.0]).expect("numbers"), [2.0, 3.0, -1.0, -2.0]);
    assert_eq!(sampler.pick(&[4.0, 3.0, -1.0, -1.0]).expect("pick"), 1);
    assert_eq!(sampler.pick(&[4.0, 3.0, -1.0, -1.0]).expect("pick"), 0, "1 was seen: 1.5 against 2");
    let generated_only = Sampling { penalize_prompt: false, ..penalty };
    let mut sampler = Sampler::new(&generated_only, &[0]).expect("valid");
    assert_eq!(sampler.pick(&[4.0, 3.0]).expect("pick"), 0);
    assert_eq!(sampler.pick(&[4.0, 3.0]).expect("pick"), 1);
}

#[test]
fn the_penalty_comes_before_the_temperature() {
    // Penalty 2 makes 2 ln 2 of id 0 into ln 2, temperature 0.5 makes it 2 ln 2: odds 4 : 1.
    let both = Sampling { repetition_penalty: 2.0, temperature: 0.5, ..sampling() };
    let got = distribution(&both, &[0], &[2.0 * 2f32.ln(), 0.0]);
    assert_close(&got, &[(0, 0.8), (1, 0.2)]);
}

#[test]
fn greedy_takes_the_smaller_id_among_equals() {
    let mut sampler = Sampler::new(&Sampling::default(), &[]).expect("valid");
    assert_eq!(sampler.pick(&[1.0, 5.0, 5.0]).expect("pick"), 1);
    assert_eq!(sampler.pick(&[f32::NEG_INFINITY; 3]).expect("pick"), 0);
}

#[test]
fn a_seed_fixes_the_draws_and_the_draws_follow_the_distribution() {
    let run = |seed| -> Vec<u32> {
        let mut sampler = Sampler::new(&Sampling { seed, ..sampling() }, &[]).expect("valid");
        (0..4000).map(|_| sampler.pick(&logits()).expect("pick")).collect()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    let counts = run(7).iter().fold([0usize; 4], |mut counts, &id| {
        counts[id as usize] += 1;
        counts
    });
    for (count, p) in counts.iter().zip([0.25, 0.5, 0.125, 0.125f64]) {
        let sigma = (4000.0f64 * p * (1.0 - p)).sqrt();
        assert!((*count as f64 - 4000.0 * p).abs() < 5.0 * sigma, "{counts:?}");
    }
}

/// Users name seeds, so a seed must give the same draws in every version.
#[test]
fn a_seed_keeps_its_stream() {
    // The published first outputs of SplitMix64 from state 0.
    let mut rng = SplitMix64::seed_from_u64(0);
    assert_eq!([rng.next_u64(), rng.next_u64()], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
    let mut rng = SplitMix64::seed_from_u64(42);
    assert_eq!(unit_f64(&mut rng), (0xBDD7_3226_2FEB_6E95_u64 >> 11) as f64 / (1u64 << 53) as f64);
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    let text = |sampling: Sampling| sampling.check().map_err(|e| e.to_string()).expect_err("refused");
    assert_eq!(text(Sampling { top_p: Some(1.5), ..sampling() }), "top-p 1.5 is not above 0 and at most 1");
    assert_eq!(text(Sampling { top_k: Some(0), ..sampling() }), "top-k 0 leaves no candidate");
    assert!(text(Sampling { temperature: f64::NAN, ..sampling() }).contains("temperature NaN"));
    assert!(text(Sampling { repetition_penalty: 0.0, ..sampling() }).contains("repetition penalty 0"));
}

#[test]
fn not_a_number_is_an_error_and_not_a_choice() {
    let mut sampler = Sampler::new(&Sampling::default(), &[]).expect("valid");
    let text = sampler.pick(&[0.0, f32::NAN]).map_err(|e| e.to_string()).expect_err("refused");
    assert!(text.contains("logit 1 of 2"), "{text}");
}

/// The definition: everything is sorted, then cut, rule by rule.
fn reference(sampling: &Sampling, logits: &[f32]) -> Vec<(u32, f64)> {
    let mut all: Vec<(u32, f64)> = (0u32..).zip(logits.iter().map(|&l| f64::from(l) / sampling.temperature)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    if let Some(kth) = sampling.top_k.and_then(|k| all.get(k - 1)).map(|kth| kth.1) {
        all.retain(|candidate| candidate.1 >= kth);
    }
    let top = all[0].1;
    all.iter_mut().for_each(|candidate| candidate.1 = (candidate.1 - top).exp());
    let normalize = |all: &mut Vec<(u32, f64)>| {
        let mass: f64 = all.iter().map(|candidate| candidate.1).sum();
        all.iter_mut().for_each(|candidate| candidate.1 /= mass);
    };
    normalize(&mut all);
    if let Some(p) = sampling.top_p {
        let mut tail = 0.0;
        while all.len() > 1 && tail + all[all.len() - 1].1 <= 1.0 - p {
            tail += all.pop().map_or(0.0, |last| last.1);
        }
        normalize(&mut all);
    }
    if let Some(p) = sampling.min_p {
        let least = p * all[0].1;
        all.retain(|candidate| candidate.1 >= least);
        normalize(&mut all);
    }
    all.retain(|candidate| candidate.1 > 0.0);
    all
}

/// Logits between -20 and 0, many of them equal.
fn noisy(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = SplitMix64::seed_from_u64(seed);
    (0..count).map(|_| (unit_f64(&mut rng) * -160.0).round() as f32 / 8.0).collect()
}

#[test]
fn sorting_only_what_a_draw_may_meet_changes_nothing() {
    let ks = [None, Some(1), Some(3), Some(40), Some(5000)];
    let ps = [None, Some(0.2), Some(0.9), Some(0.999), Some(1.0)];
    let min_ps = [None, Some(0.0), Some(0.05), Some(1.0)];
    for number in 0..ks.len() * ps.len() * min_ps.len() {
        let (top_k, top_p, min_p) = (ks[number % 5], ps[number / 5 % 5], min_ps[number / 25]);
        for (size, temperature) in [(1, 1.0), (7, 0.3), (1000, 1.0), (3000, 4.0)] {
            let logits = noisy(size, number as u64);
            let sampling = Sampling { temperature, top_k, top_p, min_p, seed: number as u64, ..Sampling::default() };
            let want = reference(&sampling, &logits);
            assert_close(&distribution(&sampling, &[], &logits), &want);
            // Draws are those from the whole distribution.
            let mut sampler = Sampler::new(&sampling, &[]).expect("valid");
            let mut rng = SplitMix64::seed_from_u64(sampling.seed);
            for _ in 0..20 {
                let mut left = unit_f64(&mut rng);
                let drawn = want.iter().find(|candidate| {
                    left -= candidate.1;
                    left < 0.0
                });
                let want = drawn.or(want.last()).expect("candidates").0;
                assert_eq!(sampler.pick(&logits).expect("pick"), want, "{sampling:?}");
            }
        }
    }
}

#[test]
fn min_p_keeps_what_is_likely_enough_beside_the_likeliest() {
    let half = Sampling { min_p: Some(0.49), ..sampling() };
    assert_close(&distribution(&half, &[], &logits()), &[(1, 2.0 / 3.0), (0, 1.0 / 3.0)]);
    assert_close(&distribution(&Sampling { min_p: Some(0.6), ..half.clone() }, &[], &logits()), &[(1, 1.0)]);
    // After top-p 0.8 there are 4/7, 2/7, 1/7: nearly half of the first is below 2/7.
    let both = Sampling { top_p: Some(0.8), ..half };
    assert_close(&distribution(&both, &[], &logits()), &[(1, 2.0 / 3.0), (0, 1.0 / 3.0)]);
}

#[test]
fn presence_and_frequency_count_generated_tokens_only() {
    let both = Sampling { presence_penalty: 0.5, frequency_penalty: 0.25, ..Sampling::default() };
    let mut sampler = Sampler::new(&both, &[0, 0, 1]).expect("valid");
    assert_eq!(*sampler.scores(&[1.0, 0.0]).expect("numbers"), [1.0, 0.0], "the prompt does not count");
    assert_eq!(sampler.pick(&[1.0, 0.0]).expect("pick"), 0);
    assert_eq!(*sampler.scores(&[1.0, 0.0]).expect("numbers"), [0.25, 0.0]);
    assert_eq!(sampler.pick(&[1.0, 0.0]).expect("pick"), 0);
    assert_eq!(*sampler.scores(&[1.0, 0.0]).expect("numbers"), [0.0, 0.0]);
    let negative = Sampling { presence_penalty: -1.0, ..Sampling::default() };
    let mut sampler = Sampler::new(&negative, &[]).expect("valid");
    assert_eq!(sampler.pick(&[0.0, 1.0]).expect("pick"), 1);
    assert_eq!(*sampler.scores(&[0.0, 1.0]).expect("numbers"), [0.0, 2.0]);
}

#[test]
fn a_bias_is_added_to_its_ids() {
    let biased = Sampling { logit_bias: vec![(2, 5.0), (0, -100.0), (2, 1.0)], ..Sampling::default() };
    let mut sampler = Sampler::new(&biased, &[]).expect("valid");
    assert_eq!(*sampler.scores(&[3.0, 4.0, 0.0]).expect("numbers"), [-97.0, 4.0, 6.0]);
    assert_eq!(sampler.pick(&[3.0, 4.0, 0.0]).expect("pick"), 2);
    let refused = biased.check_vocabulary(2).map_err(|e| e.to_string()).expect_err("refused");
    assert_eq!(refused, "logit bias of token 2: the model's vocabulary has 2");
    biased.check_vocabulary(3).expect("all there");
}

#[test]
fn stop_ids_are_not_chosen_before_the_fewest_tokens() {
    let patient = Sampling { min_tokens: 2, ..Sampling::default() };
    let mut sampler = Sampler::new(&patient, &[]).expect("valid").with_stop_ids(&[1, 9]);
    let picks: Vec<u32> = (0..3).map(|_| sampler.pick(&[0.0, 5.0, 1.0]).expect("pick")).collect();
    assert_eq!(picks, [2, 2, 1]);
}

#[test]
fn infinite_logits_are_certain_or_impossible() {
    let infinite = [0.0, f32::INFINITY, f32::NEG_INFINITY];
    assert_close(&distribution(&sampling(), &[], &infinite), &[(1, 1.0)]);
    assert_close(&distribution(&sampling(), &[], &[f32::NEG_INFINITY, 0.0]), &[(1, 1.0)]);
    assert_close(&distribution(&sampling(), &[], &[f32::NEG_INFINITY; 2]), &[(0, 1.0)]);
}

#[test]
fn log_probabilities_are_of_the_logits_themselves() {
    let vocab = r#"{"a": 0, "Ã": 1, "Ġb": 2}"#;
    let json = format!(
        r#"{{"version": "1.0", "added_tokens": [{{"id": 3, "content": "<end>", "special": true, "normalized": false,
                "single_word": false, "lstrip": false, "rstrip": false}}],
            "decoder": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}},
            "model": {{"type": "BPE", "vocab": {vocab}, "merges": []}}}}"#
    );
    let tokenizer = Tokenizer::from_bytes(json.as_bytes()).expect("a tokenizer");
    // The first four are the probabilities of `logits`, the fifth is a row without a token.
    let logits: Vec<f32> = logits().into_iter().chain([f32::NEG_INFINITY]).collect();
    let told = token_logprobs(&tokenizer, &logits, 3, 3).expect("log-probabilities");
    let near = |got: &TokenLogprob, id: u32, p: f64, bytes: &[u8]| {
        assert!(got.id == id && (got.logprob - p.ln()).abs() < 1e-6 && got.bytes == bytes, "{got:?}");
    };
    near(&told.chosen, 3, 0.125, b"<end>");
    assert_eq!(told.top.len(), 3);
    near(&told.top[0], 1, 0.5, &[0xC3]);
    near(&told.top[1], 0, 0.25, b"a");
    near(&told.top[2], 2, 0.125, b" b");
    assert_eq!(told.top[0].text(), "\u{FFFD}");
    let none = token_logprobs(&tokenizer, &logits, 4, 0).expect("log-probabilities");
    assert_eq!((none.top.len(), none.chosen.logprob, none.chosen.bytes.len()), (0, f64::NEG_INFINITY, 0));
    assert_eq!(token_logprobs(&tokenizer, &logits, 0, 20).expect("log-probabilities").top.len(), 5);
    assert!(token_logprobs(&tokenizer, &logits, 5, 1).is_err());
}

#[test]
fn new_values_out_of_range_are_refused_by_name() {
    let text = |sampling: Sampling| sampling.check().map_err(|e| e.to_string()).expect_err("refused");
    assert_eq!(text(Sampling { min_p: Some(-0.1), ..sampling() }), "min-p -0.1 is not between 0 and 1");
    assert_eq!(text(Sampling { presence_penalty: 2.5, ..sampling() }), "presence penalty 2.5 is not between -2 and 2");
    assert!(text(Sampling { frequency_penalty: f64::NAN, ..sampling() }).contains("frequency penalty NaN"));
    let bias = Sampling { logit_bias: vec![(1, 0.0), (7, 101.0)], ..sampling() };
    assert_eq!(text(bias), "logit bias 101 of token 7 is not between -100 and 100");
    assert!(text(Sampling { logit_bias: vec![(1, 0.0); 2000], ..sampling() }).contains("limit of 1024"));
    assert!(text(Sampling { logprobs: Some(21), ..sampling() }).contains("limit of 20"));
}
