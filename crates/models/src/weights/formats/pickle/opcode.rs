//! The instructions of pickles: their numbers and names, as in Python's `pickletools.py`.

pub(super) const MARK: u8 = b'(';
pub(super) const STOP: u8 = b'.';
pub(super) const NONE: u8 = b'N';
pub(super) const BININT: u8 = b'J';
pub(super) const BININT1: u8 = b'K';
pub(super) const BININT2: u8 = b'M';
pub(super) const LONG1: u8 = 0x8a;
pub(super) const LONG4: u8 = 0x8b;
pub(super) const BINFLOAT: u8 = b'G';
pub(super) const BINUNICODE: u8 = b'X';
pub(super) const SHORT_BINUNICODE: u8 = 0x8c;
pub(super) const BINUNICODE8: u8 = 0x8d;
pub(super) const BINSTRING: u8 = b'T';
pub(super) const SHORT_BINSTRING: u8 = b'U';
pub(super) const BINBYTES: u8 = b'B';
pub(super) const SHORT_BINBYTES: u8 = b'C';
pub(super) const BINBYTES8: u8 = 0x8e;
pub(super) const BYTEARRAY8: u8 = 0x96;
pub(super) const NEWTRUE: u8 = 0x88;
pub(super) const NEWFALSE: u8 = 0x89;
pub(super) const EMPTY_TUPLE: u8 = b')';
pub(super) const TUPLE: u8 = b't';
pub(super) const TUPLE1: u8 = 0x85;
pub(super) const TUPLE2: u8 = 0x86;
pub(super) const TUPLE3: u8 = 0x87;
pub(super) const EMPTY_LIST: u8 = b']';
pub(super) const LIST: u8 = b'l';
pub(super) const EMPTY_DICT: u8 = b'}';
pub(super) const DICT: u8 = b'd';
pub(super) const EMPTY_SET: u8 = 0x8f;
pub(super) const FROZENSET: u8 = 0x91;
pub(super) const APPEND: u8 = b'a';
pub(super) const APPENDS: u8 = b'e';
pub(super) const ADDITEMS: u8 = 0x90;
pub(super) const SETITEM: u8 = b's';
pub(super) const SETITEMS: u8 = b'u';
pub(super) const BINPUT: u8 = b'q';
pub(super) const LONG_BINPUT: u8 = b'r';
pub(super) const MEMOIZE: u8 = 0x94;
pub(super) const BINGET: u8 = b'h';
pub(super) const LONG_BINGET: u8 = b'j';
pub(super) const PROTO: u8 = 0x80;
pub(super) const FRAME: u8 = 0x95;
pub(super) const GLOBAL: u8 = b'c';
pub(super) const STACK_GLOBAL: u8 = 0x93;
pub(super) const REDUCE: u8 = b'R';
pub(super) const NEWOBJ: u8 = 0x81;
pub(super) const BUILD: u8 = b'b';
pub(super) const BINPERSID: u8 = b'Q';

/// Instructions that name or call something in ways that `torch.save` does not use.
const CALLS: [(u8, &str); 6] =
    [(b'i', "INST"), (b'o', "OBJ"), (0x92, "NEWOBJ_EX"), (0x82, "EXT1"), (0x83, "EXT2"), (0x84, "EXT4")];
/// Instructions of protocols 0 and 1, and others that `torch.save` does not use.
const OTHERS: [(u8, &str); 13] = [
    (b'I', "INT"),
    (b'L', "LONG"),
    (b'S', "STRING"),
    (0x97, "NEXT_BUFFER"),
    (0x98, "READONLY_BUFFER"),
    (b'V', "UNICODE"),
    (b'F', "FLOAT"),
    (b'0', "POP"),
    (b'2', "DUP"),
    (b'1', "POP_MARK"),
    (b'g', "GET"),
    (b'p', "PUT"),
    (b'P', "PERSID"),
];

/// Why the instruction `opcode` at byte `at` is not read.
pub(super) fn refusal(opcode: u8, at: usize) -> String {
    if let Some((_, name)) = CALLS.iter().find(|known| known.0 == opcode) {
        return format!("opcode {name} at byte {at}; a pickle that runs code is not read");
    }
    match OTHERS.iter().find(|known| known.0 == opcode) {
        Some((_, name)) => format!("opcode {name} at byte {at}, which torch.save does not write"),
        None => format!("byte {at} is {opcode:#04x}, not an opcode of a pickle"),
    }
}
