//! How replies end, and what is told of their tokens.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::{ask, new_session, refused, request, saying, short, text};
use crate::fake::{END, FakeModel};
use crate::*;

/// The answer of a model that would say `says`, under a constraint.
fn constrained(says: &str, constraint: &Constraint, options: Options) -> Answer {
    let model = saying(says);
    let mut session = new_session(&model, Limits::default());
    let grammar = GrammarCompiler::new(session.processor().as_ref()).compile(constraint).expect("a grammar");
    let sampling = Sampling { grammar: Some(grammar), ..options.sampling.clone() };
    session.ask(vec![text("what")], &Options { sampling, ..options }, &mut ignore).expect("an answer")
}

fn choice(texts: &[&str]) -> Constraint {
    Constraint::Choice(texts.iter().map(|text| text.to_string()).collect())
}

#[test]
fn a_reply_follows_its_grammar_and_ends_with_it() {
    // The model would end after the third letter.
    let answer = constrained("upp", &choice(&["up", "upper", "down"]), short(50));
    assert_eq!((&answer.text[..], answer.finish_reason), ("upper", FinishReason::Stop));
    assert_eq!(answer.ids.len(), 5, "no end mark is needed where nothing can follow");
    // Where it may go on, the model decides: it ends with its end mark.
    let answer = constrained("up", &choice(&["up", "upper", "down"]), short(50));
    assert_eq!((&answer.text[..], answer.finish_reason), ("up", FinishReason::Stop));
    assert_eq!(answer.ids.last(), Some(&END));
}

#[test]
fn a_budget_cuts_a_grammar_but_not_one_that_is_whole() {
    let answer = constrained("down", &choice(&["down"]), short(3));
    assert_eq!((&answer.text[..], answer.finish_reason), ("dow", FinishReason::Length));
    let answer = constrained("down", &choice(&["down"]), short(4));
    assert_eq!((&answer.text[..], answer.finish_reason), ("down", FinishReason::Stop));
}

#[test]
fn a_stop_text_ends_a_grammar_too() {
    let options = Options { stop_texts: vec!["w".into()], ..short(10) };
    let answer = constrained("down", &choice(&["down"]), options);
    assert_eq!((&answer.text[..], answer.finish_reason), ("do", FinishReason::Stop));
}

#[test]
fn two_replies_follow_one_grammar_without_each_other() {
    let model: Arc<FakeModel> = saying("ba");
    let processor = new_session(&model, Limits::default()).processor().clone();
    let grammar = GrammarCompiler::new(processor.as_ref()).compile(&Constraint::Regex("[ab]{3}".into())).expect("one");
    let mut engine = Engine::new(model, EngineOptions::default()).expect("an engine");
    for seed in 0..4 {
        let sampling = Sampling { temperature: 5.0, seed, grammar: Some(grammar.clone()), ..Sampling::default() };
        engine.generate(GenerateRequest { sampling, ..request(&[1, 2], 10) }).expect("a job");
    }
    let replies = super::run(&mut engine);
    assert_eq!(replies.len(), 4);
    for (_, reply) in replies {
        let fits = reply.text.len() == 3 && reply.text.chars().all(|c| "ab".contains(c));
        assert!(fits && reply.finish_reason == FinishReason::Stop, "{reply:?}");
    }
}

#[test]
fn stop_ids_are_ignored_when_asked() {
    let model = saying("ab");
    assert_eq!(ask(&model, vec![text("x")], &short(20)).ids.len(), 3);
    let sampling = Sampling { ignore_eos: true, ..Sampling::default() };
    let answer = ask(&model, vec![text("x")], &Options { sampling: sampling.clone(), ..short(20) });
    assert_eq!((answer.ids.len(), answer.finish_reason), (20, FinishReason::Length));
    assert_eq!(answer.ids[2], END);
    assert!(answer.text.starts_with("ab") && !answer.text.contains("<end>"), "{}", answer.text);
    // The stop texts of the request are obeyed.
    let options = Options { sampling: sampling.clone(), stop_texts: vec!["b".into()], ..short(20) };
    assert_eq!(ask(&model, vec![text("x")], &options).text, "a");
    // A grammar has its end nonetheless.
    let answer = constrained("up", &choice(&["up", "upper"]), Options { sampling, ..short(20) });
    assert_eq!((&answer.text[..], answer.finish_reason), ("up", FinishReason::Stop));
}

#[test]
fn nothing_ends_a_reply_before_its_fewest_tokens() {
    let sampling = Sampling { min_tokens: 6, ..Sampling::default() };
    let model = saying("ab");
    let answer = ask(&model, vec![text("x")], &Options { sampling: sampling.clone(), ..short(50) });
    assert!(answer.ids.len() >= 6 && !answer.ids[..6].contains(&END), "{answer:?}");
    // A stop text that is whole before them is text.
    let options = Options { sampling: sampling.clone(), stop_texts: vec!["el".into(), "o w".into()], ..short(50) };
    let answer = ask(&saying("hello world"), vec![text("x")], &options);
    assert_eq!((&answer.text[..], answer.finish_reason), ("hello world", FinishReason::Stop));
    let options = Options { sampling, stop_texts: vec!["el".into(), "wo".into()], ..short(50) };
    let answer = ask(&saying("hello world"), vec![text("x")], &options);
    assert_eq!((&answer.text[..], answer.finish_reason), ("hello ", FinishReason::Stop));
}

#[test]
fn log_probabilities_come_with_each_token() {
    let sampling = Sampling { logprobs: Some(2), ..Sampling::default() };
    let options = Options { sampling, trace: true, ..short(20) };
    let (mut last, mut logits, mut told) = (None, Vec::new(), Vec::new());
    let mut handler = |event: &Event| {
        match event {
            Event::Logits(values) => logits = values.clone(),
            Event::Token(id) => last = Some(*id),
            Event::Logprobs(logprobs) => {
                assert_eq!(Some(logprobs.chosen.id), last, "they follow their token");
                let mass: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
                let want = f64::from(logits[logprobs.chosen.id as usize]) - mass.ln();
                assert!((logprobs.chosen.logprob - want).abs() < 1e-9);
                assert_eq!((logprobs.top.len(), logprobs.top[0].id), (2, logprobs.chosen.id), "greedy");
                told.extend(logprobs.chosen.bytes.iter());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let answer = new_session(&saying("né."), Limits::default());
    let answer = { answer }.ask(vec![text("x")], &options, &mut handler).expect("an answer");
    assert_eq!(answer.text, "né.");
    assert_eq!(String::from_utf8(told).expect("whole characters"), "né.<end>");
}

#[test]
fn a_bias_of_an_unknown_token_is_refused() {
    let sampling = Sampling { logit_bias: vec![(35, 1.0)], ..Sampling::default() };
    let options = Options { sampling, ..short(5) };
    let text = refused(&saying("a"), Limits::default(), vec![text("x")], &options);
    assert_eq!(text, "logit bias of token 35: the model's vocabulary has 35");
}
