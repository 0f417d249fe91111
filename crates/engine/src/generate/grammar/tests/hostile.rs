//! Constraints made to cost much: each is refused or compiled within a second, and followed within a limit.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::{Constraint, GrammarCompiler};
use super::{Noise, compiler};
use crate::generate::{Sampler, Sampling};

/// Seconds that a constraint may take; shared machines are slow.
const SECONDS: u64 = 10;

/// Compiles, follows for 50 tokens; what came of it.
fn cost(compiler: &GrammarCompiler, name: &str, constraint: &Constraint) -> String {
    let begun = Instant::now();
    let compiled = compiler.compile(constraint);
    let compile = begun.elapsed();
    let outcome = match compiled {
        Err(error) => error.to_string(),
        Ok(grammar) => follow(grammar),
    };
    let total = begun.elapsed();
    println!("{name:32} {compile:>12.2?} {total:>12.2?} {}", &outcome.chars().take(90).collect::<String>());
    assert!(total < Duration::from_secs(SECONDS), "{name}: {total:?}");
    outcome
}

fn follow(grammar: super::super::Grammar) -> String {
    let sampling = Sampling { temperature: 1.0, grammar: Some(grammar), ..Sampling::default() };
    let mut sampler = Sampler::new(&sampling, &[]).expect("valid");
    let mut noise = Noise(77);
    for _ in 0..50 {
        let logits: Vec<f32> = (0..800).map(|_| noise.next()).collect();
        if let Err(error) = sampler.pick(&logits) {
            return error.to_string();
        }
        if sampler.is_complete() {
            break;
        }
    }
    "followed".to_string()
}

fn nested(levels: usize, wrap: impl Fn(Value) -> Value) -> Value {
    (0..levels).fold(json!({"type": "integer"}), |inner, _| wrap(inner))
}

fn numbered(n: usize, value: impl Fn(usize) -> Value) -> Map<String, Value> {
    (0..n).map(|number| (format!("k{number}"), value(number))).collect()
}

fn schemas() -> Vec<(&'static str, Value)> {
    let strings = |n: usize| (0..n).map(|number| json!(format!("value {number}"))).collect::<Vec<_>>();
    let object = |n: usize| json!({"type": "object", "properties": numbered(n, |_| json!({"type": "string"}))});
    let options =
        |n: usize| (0..n).map(|k| json!({"properties": {format!("p{k}"): {"type": "string"}}})).collect::<Vec<_>>();
    vec![
        ("deep arrays", nested(60, |inner| json!({"type": "array", "items": inner}))),
        ("too deep arrays", nested(100, |inner| json!({"type": "array", "items": inner}))),
        ("far too deep arrays", nested(500, |inner| json!({"type": "array", "items": inner}))),
        ("enum of 4000", json!({"enum": strings(4000)})),
        ("enum of 100,000", json!({"enum": strings(100_000)})),
        ("long enum texts", json!({"enum": (0..30).map(|n| format!("{n}{}", "x".repeat(4000))).collect::<Vec<_>>()})),
        ("1000 optional properties", object(1000)),
        ("4000 optional properties", object(4000)),
        (
            "4000 required",
            json!({"type": "object", "properties": numbered(3000, |_| json!({"type": "integer"})),
            "required": (0..3000).map(|n| format!("k{n}")).collect::<Vec<_>>(), "additionalProperties": false}),
        ),
        (
            "alternatives by alternatives",
            json!({"allOf": [{"anyOf": options(200)}, {"anyOf": options(200)}, {"anyOf": options(200)}]}),
        ),
        (
            "alternatives by properties",
            json!({"anyOf": vec![json!({}); 4000], "properties": numbered(1000, |_| json!({"type": "string"}))}),
        ),
        (
            "optional pairs",
            json!({"allOf": (0..30).map(|k| json!({"anyOf": [{"properties": {format!("a{k}"): true}},
            {"properties": {format!("b{k}"): true}}]})).collect::<Vec<_>>()}),
        ),
        (
            "nested alternatives",
            nested(8, |inner| json!({"anyOf": [{"type": "array", "items": inner.clone()}, {"type": "null"}, inner]})),
        ),
        ("itself", json!({"$ref": "#"})),
        ("a circle", json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"})),
        (
            "recursive lists",
            json!({"$defs": {"l": {"type": "array", "items": {"$ref": "#/$defs/l"}}}, "$ref": "#/$defs/l"}),
        ),
        (
            "merged with itself",
            json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"required": ["x"]}]}}, "$ref": "#/$defs/a"}),
        ),
        (
            "merged with itself below",
            json!({"$defs": {"a": {"type": "object", "properties":
            numbered(200, |_| json!({"allOf": [{"$ref": "#/$defs/a"}, {"required": ["x"]}]}))}}, "$ref": "#/$defs/a"}),
        ),
        (
            "small, merged below",
            json!({"$defs": {"a": {"type": "object", "properties":
            numbered(4, |_| json!({"allOf": [{"$ref": "#/$defs/a"}, {"required": ["x"]}]}))}}, "$ref": "#/$defs/a"}),
        ),
        ("a chain of references", {
            let defs = (0..250).map(|n| {
                (format!("d{n}"), json!({"type": "array", "items": {"$ref": format!("#/$defs/d{}", (n + 1) % 250)}}))
            });
            json!({"$defs": defs.collect::<Map<_, _>>(), "$ref": "#/$defs/d0"})
        }),
        ("a long chain of references", {
            let defs = (0..4000).map(|n| (format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", (n + 1) % 4000)})));
            json!({"$defs": defs.collect::<Map<_, _>>(), "$ref": "#/$defs/d0"})
        }),
        ("deep chains of references", {
            let defs = (0..240).map(|n| (format!("d{n}"), nested_ref(50, (n + 1) % 240)));
            json!({"$defs": defs.collect::<Map<_, _>>(), "$ref": "#/$defs/d0"})
        }),
        ("doubling references", {
            let defs = (0..60).map(|n| { let next = format!("#/$defs/d{}", n + 1);
                (format!("d{n}"), json!({"allOf": [{"anyOf": [{"$ref": next}, {"type": "null"}]}, {"anyOf": [{"$ref": next}, {"type": "string"}]}]})) });
            let mut defs: Map<_, _> = defs.collect();
            defs.insert("d60".into(), json!({"type": "integer"}));
            json!({"$defs": defs, "$ref": "#/$defs/d0"})
        }),
        (
            "many patterns",
            json!({"type": "object", "patternProperties":
            (0..1000).map(|n| (format!("^{n}[a-z]*x{{1,50}}"), json!(true))).collect::<Map<_, _>>()}),
        ),
        (
            "30 patterns",
            json!({"type": "object", "patternProperties":
            (0..30).map(|n| (format!("^{n}([a-z]*x){{1,50}}$"), json!(true))).collect::<Map<_, _>>()}),
        ),
        ("a long string", json!({"type": "string", "minLength": 100_000, "maxLength": 1_000_000_000})),
        (
            "many items",
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1_000_000, "maxItems": 1_000_000_000}),
        ),
        (
            "items of items",
            nested(10, |inner| json!({"type": "array", "items": inner, "minItems": 1000, "maxItems": 1000})),
        ),
        ("a pattern of powers", json!({"type": "string", "pattern": "^((a{1,100}){1,100}){1,100}$"})),
        ("a backtracking pattern", json!({"type": "string", "pattern": "^(a|a)*(a|a)*(a|aa)*b$"})),
        ("multiple of", json!({"type": "integer", "multipleOf": 999_999_937})),
        (
            "numbers of 15 digits",
            json!({"type": "number", "minimum": 0.000_000_000_000_123_45, "maximum": 123_456_789_012_345.0}),
        ),
    ]
}

fn nested_ref(levels: usize, next: usize) -> Value {
    (0..levels).fold(json!({"$ref": format!("#/$defs/d{next}")}), |inner, _| json!({"type": "array", "items": inner}))
}

fn texts() -> Vec<(&'static str, Constraint)> {
    let regex = |text: &str| Constraint::Regex(text.to_string());
    let chain: String = (0..8000).map(|n| format!("r{n}: r{}\n", n + 1)).collect();
    let tokens: String = (0..8000).map(|n| format!("T{n}: T{}\n", n + 1)).collect();
    let ambiguous = "start: a a a a a a a a\na: \"\" | \"x\" a | a \"x\" | a a\n";
    vec![
        ("a regex of powers", regex("((((a{1,50}){1,50}){1,50}){1,50}){1,50}")),
        ("a regex of states", regex("(a|b)*a(a|b){200}")),
        ("many such states", regex("[ab]*a[ab]{15}[cd]*c[cd]{15}")),
        ("intersections of states", regex("(.*a.{20}|.*b.{20}|.*c.{20}|.*d.{20})")),
        ("unicode classes", regex(r"(\w|\d|\s|\p{L}|\p{Greek}){1,500}")),
        ("nested groups", regex(&format!("{}a{}", "(".repeat(50_000), ")".repeat(50_000)))),
        ("nested repetitions", regex(&format!("{}a{}", "(".repeat(200), ")*".repeat(200)))),
        ("a long regex", regex(&"(abc|d[0-9])".repeat(8000))),
        ("too long", regex(&"a".repeat(200_000))),
        ("4000 choices", Constraint::Choice((0..4000).map(|n| format!("choice number {n}")).collect())),
        ("100,000 choices", Constraint::Choice((0..100_000).map(|n| n.to_string()).collect())),
        ("a chain of rules", Constraint::Lark(format!("start: r0\n{chain}r8000: \"x\"\n"))),
        ("a chain of tokens", Constraint::Lark(format!("start: T0\n{tokens}T8000: \"x\"\n"))),
        ("an ambiguous grammar", Constraint::Lark(ambiguous.to_string())),
        ("nested lark", Constraint::Lark(format!("start: {}\"x\"{}\n", "(".repeat(20_000), ")".repeat(20_000)))),
        ("repeated rules", Constraint::Lark("start: a{1000000}\na: b{1000000}\nb: \"x\"{1000000}\n".to_string())),
        ("a schema in lark", Constraint::Lark(format!("start: %json {}\n", json!({"enum": vec!["x"; 5000]})))),
        (
            "a schema in a list",
            Constraint::Lark(json!({"grammars": [{"json_schema": {"enum": vec!["x"; 5000]}}]}).to_string()),
        ),
    ]
}

#[test]
fn no_constraint_costs_more_than_seconds() {
    let compiler = compiler();
    compiler.compile(&Constraint::JsonObject).expect("a grammar");
    let schemas = schemas().into_iter().map(|(name, schema)| (name, Constraint::JsonSchema(schema)));
    for (name, constraint) in schemas.chain(texts()) {
        cost(&compiler, name, &constraint);
    }
}
