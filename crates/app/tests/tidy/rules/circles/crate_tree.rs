//! The modules of one crate, and what names mean in them.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Arrow;
use super::module::{Module, Path, Use, modules};
use crate::source::{Source, identifiers};
use crate::workspace::{Workspace, children_folder};

/// How often a name may be imported from a module that imports it itself.
const FUEL: usize = 8;

pub(super) struct Crate<'a> {
    workspace: &'a Workspace,
    nodes: Vec<Node<'a>>,
}

struct Node<'a> {
    file: &'a str,
    source: &'a Source,
    module: Module<'a>,
    parent: Option<usize>,
    children: BTreeMap<&'a str, usize>,
    /// Modules of the crate of which everything is imported.
    globs: Vec<usize>,
}

/// What a name means.
#[derive(Clone, Copy, PartialEq)]
enum Meaning<'a> {
    Module(usize),
    /// An item of a module.
    Item(usize, &'a str),
    /// Nothing of this crate.
    Library,
}

impl<'a> Crate<'a> {
    /// The crate whose root is the file `root`, as far as its files exist.
    pub(super) fn read(workspace: &'a Workspace, root: &'a str) -> Crate<'a> {
        let mut code = Crate { workspace, nodes: Vec::new() };
        code.file(root, None);
        for number in 0..code.nodes.len() {
            let globs = code.nodes[number].module.uses.iter().filter(|used| used.name.is_none());
            let meanings: Vec<Meaning<'_>> = globs.map(|used| code.meaning(number, &used.path.names, FUEL)).collect();
            let module = |meaning: &Meaning<'_>| if let Meaning::Module(other) = meaning { Some(*other) } else { None };
            code.nodes[number].globs = meanings.iter().filter_map(module).filter(|other| *other != number).collect();
        }
        code
    }

    /// Adds a file's modules and those they declare; gives the number of the file's own, if the file exists.
    fn file(&mut self, path: &str, parent: Option<usize>) -> Option<usize> {
        let file = self.workspace.file(path).filter(|file| !file.is_test)?;
        let source = file.source.as_ref()?;
        let first = self.nodes.len();
        for module in modules(&source.shipped) {
            let number = self.nodes.len();
            let around = module.around.map(|around| first + around);
            if let Some(around) = around {
                self.nodes[around].children.insert(module.name, number);
            }
            let (parent, children, globs) = (around.or(parent), BTreeMap::new(), Vec::new());
            self.nodes.push(Node { file: &file.path, source, module, parent, children, globs });
        }
        let folder = children_folder(path);
        for name in self.nodes[first].module.declared.clone() {
            let paths = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
            if let Some(child) = paths.iter().find_map(|path| self.file(path, Some(first))) {
                self.nodes[first].children.insert(name, child);
            }
        }
        Some(first)
    }

    /// Arrows between different files, in the order of the files.
    pub(super) fn arrows(&self) -> Vec<Arrow<'a>> {
        let mut arrows = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let module = &node.module;
            for Use { path, name } in &module.uses {
                match name {
                    Some(_) => self.arrow(number, self.meaning(number, &path.names, FUEL), path.at, &mut arrows),
                    None => self.glob(number, path, &mut arrows),
                }
            }
            for path in &module.paths {
                self.arrow(number, self.meaning(number, &path.names, FUEL), path.at, &mut arrows);
            }
            for &(at, name) in &module.calls {
                let meaning = self.called(number, name);
                self.arrow(number, meaning, at, &mut arrows);
            }
        }
        arrows
    }

    /// Whether the arrow goes to a file that declares, directly or not, the one it comes from.
    pub(super) fn is_up(&self, arrow: &Arrow<'_>) -> bool {
        let from = self.nodes.iter().position(|node| node.file == arrow.from);
        let mut above = from.and_then(|from| self.nodes[from].parent);
        while let Some(number) = above {
            if self.nodes[number].file == arrow.to {
                return true;
            }
            above = self.nodes[number].parent;
        }
        false
    }

    fn arrow(&self, from: usize, to: Meaning<'a>, at: usize, arrows: &mut Vec<Arrow<'a>>) {
        let Meaning::Item(to, item) = to else { return };
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        if from.file != to.file {
            arrows.push(Arrow { from: from.file, to: to.file, item, line: from.source.line(at) });
        }
    }

    /// A glob needs the files that define those of its names which the file says.
    fn glob(&self, from: usize, path: &Path<'a>, arrows: &mut Vec<Arrow<'a>>) {
        match self.meaning(from, &path.names, FUEL) {
            Meaning::Module(module) => {
                let words: BTreeSet<&str> = identifiers(&self.nodes[from].source.shipped).map(|word| word.1).collect();
                for name in words {
                    self.arrow(from, self.inside(module, name, true, FUEL), path.at, arrows);
                }
            }
            item => self.arrow(from, item, path.at, arrows),
        }
    }

    /// The meaning of the macro `name!`: a name of the module, or else the crate's only macro of that name.
    fn called(&self, from: usize, name: &'a str) -> Meaning<'a> {
        let known = self.inside(from, name, true, FUEL);
        if known != Meaning::Library {
            return known;
        }
        let mut makers = (0..self.nodes.len()).filter(|&node| self.nodes[node].module.macros.contains(name));
        match (makers.next(), makers.next()) {
            (Some(only), None) => Meaning::Item(only, name),
            _ => Meaning::Library,
        }
    }

    /// The meaning of a path that stands in the module `from`.
    fn meaning(&self, from: usize, names: &[&'a str], fuel: usize) -> Meaning<'a> {
        let Some((first, rest)) = names.split_first() else { return Meaning::Library };
        let above = |module: usize| self.nodes[module].parent.map_or(Meaning::Library, Meaning::Module);
        let mut here = match *first {
            "crate" => Meaning::Module(0),
            "self" => Meaning::Module(from),
            "super" => above(from),
            name => self.inside(from, name, rest.is_empty(), fuel),
        };
        for (number, name) in rest.iter().enumerate() {
            let Meaning::Module(module) = here else { break };
            here = match *name {
                "super" => above(module),
                name => match self.inside(module, name, number + 1 == rest.len(), fuel) {
                    // A name of a library that the module passes on, or one that a macro makes.
                    Meaning::Library => Meaning::Item(module, name),
                    known => known,
                },
            };
        }
        here
    }

    /// The meaning of a name in a module. Where a module and an item share a name, the `last` of a path is the item.
    fn inside(&self, module: usize, name: &'a str, last: bool, fuel: usize) -> Meaning<'a> {
        let node = &self.nodes[module];
        let defined = node.module.defined.contains(name);
        match node.children.get(name) {
            Some(child) if !(last && defined) => return Meaning::Module(*child),
            _ if defined => return Meaning::Item(module, name),
            _ if fuel == 0 => return Meaning::Library,
            _ => {}
        }
        let named = node.module.uses.iter().filter(|used| used.name == Some(name));
        let named = named.map(|used| self.meaning(module, &used.path.names, fuel - 1));
        let globs = node.globs.iter().map(|other| self.inside(*other, name, last, fuel - 1));
        named.chain(globs).find(|meaning| *meaning != Meaning::Library).unwrap_or(Meaning::Library)
    }
}
