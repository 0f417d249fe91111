//! Circles of a graph.

use std::collections::{BTreeMap, BTreeSet};

/// Why one file needs another.
#[derive(Debug)]
pub(super) struct Arrow<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    /// What `to` defines, and the line of `from` that names it.
    pub(super) item: &'a str,
    pub(super) line: usize,
}

/// Groups of more than one node of which each reaches each (strongly connected components).
pub(super) fn circles<'a>(arrows: &[Arrow<'a>]) -> Vec<Vec<&'a str>> {
    let mut next: BTreeMap<&'a str, BTreeSet<&'a str>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(arrow.from).or_default().insert(arrow.to);
    }
    let reached: BTreeMap<&'a str, BTreeSet<&'a str>> = next.keys().map(|node| (*node, reach(node, &next))).collect();
    let mut found: BTreeSet<Vec<&'a str>> = BTreeSet::new();
    for (node, others) in &reached {
        let back = |other: &&&str| reached.get(**other).is_some_and(|back| back.contains(node));
        // A node on a circle reaches itself, and so is one of its circle.
        let circle: Vec<&'a str> = others.iter().filter(back).copied().collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

fn reach<'a>(from: &'a str, next: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        open.extend(next.get(node).into_iter().flatten().filter(|other| reached.insert(**other)));
    }
    reached
}

/// A shortest way around through a circle's files.
pub(super) fn shortest<'a, 'b>(files: &[&str], arrows: &'b [Arrow<'a>]) -> Vec<&'b Arrow<'a>> {
    let inside: Vec<&Arrow<'a>> =
        arrows.iter().filter(|arrow| files.contains(&arrow.from) && files.contains(&arrow.to)).collect();
    let ways = files.iter().filter_map(|start| around(start, &inside));
    ways.min_by_key(Vec::len).unwrap_or_default()
}

/// A shortest way from `start` back to it.
fn around<'a, 'b>(start: &str, arrows: &[&'b Arrow<'a>]) -> Option<Vec<&'b Arrow<'a>>> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut ways: Vec<Vec<&'b Arrow<'a>>> = vec![Vec::new()];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let end = way.last().map_or(start, |arrow| arrow.to);
            for &arrow in arrows.iter().filter(|arrow| arrow.from == end) {
                let way = [&way[..], &[arrow]].concat();
                if arrow.to == start {
                    return Some(way);
                }
                if seen.insert(arrow.to) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

#[test]
fn circles_are_found_apart_from_what_leads_to_them() {
    let pairs = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "b"), ("e", "f"), ("f", "e"), ("d", "g")];
    let arrows = pairs.map(|(from, to)| Arrow { from, to, item: "", line: 1 });
    assert_eq!(circles(&arrows), [vec!["b", "c", "d"], vec!["e", "f"]]);
    let way = shortest(&["b", "c", "d"], &arrows);
    assert_eq!(way.iter().map(|arrow| (arrow.from, arrow.to)).collect::<Vec<_>>(), [("b", "c"), ("c", "b")]);
}
