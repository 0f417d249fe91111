//! How large a JSON schema becomes when its `allOf`, `anyOf`, `oneOf` and `$ref` are multiplied out.
//!
//! A compiler of schemas merges what must hold at once into one schema. Where alternatives meet alternatives, every
//! pair of them is merged, so that a short text can become gigabytes. The estimate here is an upper bound in nodes.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::error::EngineError;
use crate::limits::check_limit;

/// Most nodes of the schema with everything multiplied out.
const MAX_NODES: usize = 100_000;
/// Most nodes of a schema that refers to itself and is merged with another: each level is merged again.
const MAX_RECURSIVE_NODES: usize = 48;
/// Most levels of definitions that refer to others, times levels of a schema.
const MAX_REFERENCES: usize = 256;

/// Size of a schema when it is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    /// Alternatives at the place with the most of them.
    options: usize,
    nodes: usize,
    /// Whether it refers to itself.
    recursive: bool,
}

const LEAF: Size = Size { options: 1, nodes: 1, recursive: false };

impl Size {
    /// Both at once: each alternative of one with each of the other.
    fn and(self, other: Size) -> Size {
        let nodes = self.options.saturating_mul(other.nodes).saturating_add(other.options.saturating_mul(self.nodes));
        Size {
            options: self.options.saturating_mul(other.options),
            nodes,
            recursive: self.recursive || other.recursive,
        }
    }

    /// A part below another.
    fn with_part(self, part: Size) -> Size {
        Size {
            options: self.options.max(part.options),
            nodes: self.nodes.saturating_add(part.nodes),
            recursive: self.recursive || part.recursive,
        }
    }
}

/// Estimates of one schema.
pub(super) struct Expansion<'s> {
    root: &'s Value,
    /// Estimates of definitions; `None` while one is estimated.
    definitions: HashMap<&'s str, Option<Size>>,
}

impl<'s> Expansion<'s> {
    /// Refuses a schema that would become too large.
    pub(super) fn check(root: &'s Value) -> Result<(), EngineError> {
        let mut expansion = Expansion { root, definitions: HashMap::new() };
        let size = expansion.size(root)?;
        check_limit("nodes of a JSON schema, multiplied out", size.nodes, MAX_NODES)
    }

    fn size(&mut self, schema: &'s Value) -> Result<Size, EngineError> {
        let Value::Object(members) = schema else { return Ok(LEAF) };
        let mut size = LEAF;
        let mut applied: Vec<Size> = Vec::new();
        for (key, value) in members {
            match key.as_str() {
                "$ref" => applied.extend(value.as_str().map(|name| self.definition(name)).transpose()?),
                "allOf" => applied.extend(self.sizes(value)?),
                "anyOf" | "oneOf" => {
                    let sizes = self.sizes(value)?;
                    let options = sizes.iter().fold(0usize, |sum, size| sum.saturating_add(size.options)).max(1);
                    let all = sizes.into_iter().fold(LEAF, Size::with_part);
                    applied.push(Size { options, ..all });
                }
                "enum" => {
                    let options = value.as_array().map_or(1, Vec::len).max(1);
                    applied.push(Size { options, nodes: options, recursive: false });
                }
                "properties" | "patternProperties" => {
                    for part in value.as_object().into_iter().flat_map(Map::values) {
                        size = size.with_part(self.size(part)?);
                    }
                }
                "items" | "additionalItems" | "additionalProperties" | "prefixItems" => {
                    for part in self.sizes(value)? {
                        size = size.with_part(part);
                    }
                }
                _ => {}
            }
        }
        let constrains = members.keys().any(|key| CONSTRAINTS.contains(&key.as_str()));
        let merged = applied.len() + usize::from(constrains) > 1;
        for other in applied {
            if merged && other.recursive {
                check_limit("nodes of a merged schema that refers to itself", other.nodes, MAX_RECURSIVE_NODES)?;
            }
            // What stands alone is not merged with anything.
            size = if merged || size.nodes > 1 { size.and(other) } else { other };
        }
        check_limit("nodes of a JSON schema, multiplied out", size.nodes, MAX_NODES)?;
        Ok(size)
    }

    /// Sizes of a schema or of a list of them.
    fn sizes(&mut self, value: &'s Value) -> Result<Vec<Size>, EngineError> {
        match value {
            Value::Array(parts) => parts.iter().map(|part| self.size(part)).collect(),
            one => Ok(vec![self.size(one)?]),
        }
    }

    fn definition(&mut self, name: &'s str) -> Result<Size, EngineError> {
        match self.definitions.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Ok(Size { recursive: true, ..LEAF }),
            None => {}
        }
        check_limit("definitions that a JSON schema refers to", self.definitions.len() + 1, MAX_REFERENCES)?;
        self.definitions.insert(name, None);
        // The compiler names those that are missing.
        let target = name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer.trim_end_matches('/')));
        let size = target.map_or(Ok(LEAF), |target| self.size(target))?;
        self.definitions.insert(name, Some(size));
        Ok(size)
    }
}

/// Keywords that are merged with what `$ref`, `allOf`, `anyOf`, `oneOf`, `enum` and `const` say.
const CONSTRAINTS: [&str; 22] = [
    "type",
    "const",
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "additionalItems",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];
