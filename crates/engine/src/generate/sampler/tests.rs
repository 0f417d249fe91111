//! The rules of sampling, each on logits whose probabilities are known.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::pick::unit_f64;
use super::{Sampler, Sampling};

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
