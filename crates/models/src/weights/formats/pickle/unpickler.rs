//! The stack machine that reads pickles, without the part that runs code.
//!
//! Reference: Python's `pickletools.py`. The machine knows the instructions of protocols 2 to 5 that build data:
//! numbers, texts, tuples, lists, dicts, sets and tensors. Time and memory grow with the number of instructions, which
//! is limited. Values refer to objects by index: nesting of any depth needs no recursion, and the memo copies nothing.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::error::{ReadError, malformed, unsupported};
use super::globals::Global;
use super::opcode as op;
use super::rebuild::{build, call, storage};
use super::value::{ByteRange, Heap, Object, Value};

/// Most instructions of a pickle. A tensor takes about 45.
const INSTRUCTIONS: usize = 1 << 22;
/// Longest name of a module, class or function in bytes.
const GLOBAL_BYTES: usize = 256;
/// Newest protocol of pickles.
const PROTOCOL: u8 = 5;

/// What a pickle made.
pub(super) struct Pickle<'a> {
    pub(super) heap: Heap<'a>,
    /// The object that was pickled.
    pub(super) root: Value<'a>,
    /// The byte after the pickle.
    pub(super) end: usize,
}

/// Reads the pickle that begins at byte `start` of `bytes`.
pub(super) fn unpickle(bytes: &[u8], start: usize) -> Result<Pickle<'_>, ReadError> {
    let mut unpickler = Unpickler {
        cursor: Cursor::new(bytes, start),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        heap: Heap::default(),
    };
    for _ in 0..INSTRUCTIONS {
        let at = unpickler.cursor.at;
        let opcode = unpickler.cursor.u8()?;
        if opcode == op::STOP {
            let root = unpickler.pop(at)?;
            return Ok(Pickle { heap: unpickler.heap, root, end: unpickler.cursor.at });
        }
        unpickler.step(opcode, at)?;
    }
    Err(ReadError::Limit { what: "instructions of a pickle", number: INSTRUCTIONS + 1, limit: INSTRUCTIONS })
}

struct Unpickler<'a> {
    cursor: Cursor<'a>,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at which marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    heap: Heap<'a>,
}

impl<'a> Unpickler<'a> {
    /// Does the instruction `opcode`, which was read at byte `at`.
    fn step(&mut self, opcode: u8, at: usize) -> Result<(), ReadError> {
        match opcode {
            op::PROTO => match self.cursor.u8()? {
                version if version > PROTOCOL => unsupported(format!("pickle protocol {version} at byte {at}")),
                _ => Ok(()),
            },
            op::FRAME => self.cursor.take(8).map(|_| ()),
            op::BINPUT | op::LONG_BINPUT | op::MEMOIZE | op::BINGET | op::LONG_BINGET => self.use_memo(opcode, at),
            op::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::APPEND | op::APPENDS | op::ADDITEMS | op::SETITEM | op::SETITEMS => self.add_items(opcode, at),
            op::BUILD => {
                let state = self.pop(at)?;
                build(self.top(at)?, state, &mut self.heap, at)
            }
            _ => {
                let value = match opcode {
                    op::EMPTY_TUPLE
                    | op::TUPLE
                    | op::TUPLE1
                    | op::TUPLE2
                    | op::TUPLE3
                    | op::EMPTY_LIST
                    | op::LIST
                    | op::EMPTY_DICT
                    | op::DICT
                    | op::EMPTY_SET
                    | op::FROZENSET => self.container(opcode, at)?,
                    op::GLOBAL | op::STACK_GLOBAL | op::REDUCE | op::NEWOBJ | op::BINPERSID => {
                        self.global(opcode, at)?
                    }
                    _ => self.literal(opcode, at)?,
                };
                self.stack.push(value);
                Ok(())
            }
        }
    }

    /// Numbers, texts, bytes and constants; refuses what is left.
    fn literal(&mut self, opcode: u8, at: usize) -> Result<Value<'a>, ReadError> {
        let cursor = &mut self.cursor;
        let text = |bytes: &'a [u8]| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::Text(text)),
            Err(_) => malformed(format!("the text at byte {at} is not UTF-8")),
        };
        match opcode {
            op::NONE => Ok(Value::Opaque),
            op::NEWTRUE | op::NEWFALSE => Ok(Value::Bool(opcode == op::NEWTRUE)),
            op::BININT => Ok(Value::Int(i64::from(cursor.u32()? as i32))),
            op::BININT1 => Ok(Value::Int(cursor.u8()?.into())),
            op::BININT2 => Ok(Value::Int(cursor.u16()?.into())),
            op::LONG1 => {
                let len = cursor.u8()?;
                cursor.take(len.into()).map(integer)
            }
            op::LONG4 => {
                let len = cursor.u32()?;
                cursor.take_u64(len.into()).map(integer)
            }
            op::BINFLOAT => cursor.take(8).map(|_| Value::Opaque),
            op::SHORT_BINUNICODE => {
                let len = cursor.u8()?;
                cursor.take(len.into()).and_then(text)
            }
            op::BINUNICODE => {
                let len = cursor.u32()?;
                cursor.take_u64(len.into()).and_then(text)
            }
            op::BINUNICODE8 => {
                let len = cursor.u64()?;
                cursor.take_u64(len).and_then(text)
            }
            // Strings of Python 2 hold texts as well as bytes.
            op::SHORT_BINSTRING => {
                let len = cursor.u8()?;
                cursor.take(len.into()).map(|bytes| text(bytes).unwrap_or(Value::Opaque))
            }
            op::BINSTRING => {
                let len = cursor.u32()?;
                cursor.take_u64(len.into()).map(|bytes| text(bytes).unwrap_or(Value::Opaque))
            }
            op::SHORT_BINBYTES => {
                let len = cursor.u8()?;
                byte_range(cursor, len.into())
            }
            op::BINBYTES => {
                let len = cursor.u32()?;
                byte_range(cursor, len.into())
            }
            op::BINBYTES8 | op::BYTEARRAY8 => {
                let len = cursor.u64()?;
                byte_range(cursor, len)
            }
            _ => unsupported(op::refusal(opcode, at)),
        }
    }

    /// Tuples, lists, dicts and sets.
    fn container(&mut self, opcode: u8, at: usize) -> Result<Value<'a>, ReadError> {
        let object = match opcode {
            op::EMPTY_TUPLE => Object::Tuple(Vec::new()),
            op::TUPLE => Object::Tuple(self.pop_to_mark(at)?),
            op::TUPLE1 => Object::Tuple(vec![self.pop(at)?]),
            op::TUPLE2 | op::TUPLE3 => {
                let mut values = vec![self.pop(at)?, self.pop(at)?];
                if opcode == op::TUPLE3 {
                    values.push(self.pop(at)?);
                }
                values.reverse();
                Object::Tuple(values)
            }
            op::EMPTY_LIST => Object::List(Vec::new()),
            op::LIST => Object::List(self.pop_to_mark(at)?),
            op::EMPTY_DICT => Object::Dict(Vec::new()),
            op::DICT => Object::Dict(pairs(&self.pop_to_mark(at)?, at)?),
            op::FROZENSET => return self.pop_to_mark(at).map(|_| Value::Opaque),
            _ => return Ok(Value::Opaque),
        };
        Ok(self.heap.add(object))
    }

    /// Adds values to the list, dict or set below them.
    fn add_items(&mut self, opcode: u8, at: usize) -> Result<(), ReadError> {
        let items = match opcode {
            op::APPEND => vec![self.pop(at)?],
            op::SETITEM => {
                let value = self.pop(at)?;
                vec![self.pop(at)?, value]
            }
            _ => self.pop_to_mark(at)?,
        };
        let target = self.top(at)?;
        match (opcode, self.heap.get_mut(target)) {
            (op::APPEND | op::APPENDS, Some(Object::List(values))) => values.extend(items),
            (op::SETITEM | op::SETITEMS, Some(Object::Dict(known))) => known.extend(pairs(&items, at)?),
            (_, None) if matches!(target, Value::Opaque) => {}
            _ => return malformed(format!("opcode {opcode:#04x} at byte {at} on another kind of value")),
        }
        Ok(())
    }

    /// Names of classes and functions, their calls, and storages.
    fn global(&mut self, opcode: u8, at: usize) -> Result<Value<'a>, ReadError> {
        match opcode {
            op::GLOBAL => {
                let (module, name) = (self.cursor.line(GLOBAL_BYTES)?, self.cursor.line(GLOBAL_BYTES)?);
                let (Ok(module), Ok(name)) = (std::str::from_utf8(module), std::str::from_utf8(name)) else {
                    return malformed(format!("a name at byte {at} that is not UTF-8"));
                };
                Global::of(module, name, at).map(Value::Global)
            }
            op::STACK_GLOBAL => match (self.pop(at)?, self.pop(at)?) {
                (Value::Text(name), Value::Text(module)) if name.len().max(module.len()) <= GLOBAL_BYTES => {
                    Global::of(module, name, at).map(Value::Global)
                }
                _ => malformed(format!("a name at byte {at} that is no text of at most {GLOBAL_BYTES} bytes")),
            },
            op::BINPERSID => {
                let id = self.pop(at)?;
                let storage = storage(id, &self.heap, at)?;
                Ok(self.heap.add(Object::Storage(storage)))
            }
            _ => match (self.pop(at)?, self.pop(at)?) {
                (args, Value::Global(function)) => call(function, args, &mut self.heap, at),
                _ => malformed(format!("a call at byte {at} of what is no function")),
            },
        }
    }

    /// Writes the topmost value to the memo, or pushes a value from it.
    fn use_memo(&mut self, opcode: u8, at: usize) -> Result<(), ReadError> {
        let number = match opcode {
            // Below the limit of instructions.
            op::MEMOIZE => self.memo.len() as u32,
            op::BINPUT | op::BINGET => self.cursor.u8()?.into(),
            _ => self.cursor.u32()?,
        };
        if matches!(opcode, op::BINGET | op::LONG_BINGET) {
            let Some(value) = self.memo.get(&number) else {
                return malformed(format!("no value {number} in the memo at byte {at}"));
            };
            self.stack.push(*value);
        } else {
            let value = self.top(at)?;
            self.memo.insert(number, value);
        }
        Ok(())
    }

    /// The topmost value above the last mark, removed.
    fn pop(&mut self, at: usize) -> Result<Value<'a>, ReadError> {
        let value = self.top(at)?;
        self.stack.pop();
        Ok(value)
    }

    /// The topmost value above the last mark.
    fn top(&self, at: usize) -> Result<Value<'a>, ReadError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(value) if self.stack.len() > floor => Ok(*value),
            _ => malformed(format!("no value left for the instruction at byte {at}")),
        }
    }

    /// All values above the last mark, which is removed with them.
    fn pop_to_mark(&mut self, at: usize) -> Result<Vec<Value<'a>>, ReadError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => malformed(format!("no mark for the instruction at byte {at}")),
        }
    }
}

/// The next `len` bytes, which stay where they are.
fn byte_range<'a>(cursor: &mut Cursor<'a>, len: u64) -> Result<Value<'a>, ReadError> {
    let start = cursor.at;
    cursor.take_u64(len).map(|bytes| Value::Bytes(ByteRange { start, len: bytes.len() }))
}

/// Keys and values that follow one another.
fn pairs<'a>(values: &[Value<'a>], at: usize) -> Result<Vec<(Value<'a>, Value<'a>)>, ReadError> {
    match values.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => malformed(format!("a key without a value at byte {at}")),
    }
}

/// A signed little-endian integer.
fn integer(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::LongInt(bytes);
    }
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}
