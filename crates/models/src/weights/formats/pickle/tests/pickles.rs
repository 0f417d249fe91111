use std::time::Instant;

use super::build::{Code, Zip};
use super::{check_damage, read, refused};

fn code() -> Code {
    Code::new()
}

/// Pushes the dict "a" -> tensor, then what `more` writes.
fn after_tensors(more: impl FnOnce(Code) -> Code) -> Vec<u8> {
    more(code().dict("a", Code::tensor)).file()
}

#[test]
fn nothing_but_tensors_may_be_asked_for() {
    let asks = |module: &str, name: &str| {
        let text = format!("asks for {module}.{name} at byte ");
        let by_global = |code: Code| code.global(module, name).text("true").raw(b"\x85R");
        refused(&after_tensors(by_global), &["not supported", "model.bin: ", &text, "runs code", "safetensors"]);
        refused(&after_tensors(|code| code.text(module).text(name).raw(b"\x93)R")), &[&text]);
        refused(&after_tensors(|code| code.global(module, name).raw(b")\x81")), &[&text]);
    };
    asks("os", "system");
    asks("posix", "system");
    asks("builtins", "eval");
    asks("__builtin__", "getattr");
    asks("torch", "load");
    asks("torch", "complex");
    asks("torch.hub", "load");
    asks("torch.storage", "_load_from_bytes");
    asks("torch.nn.modules.linear", "Linear");
    asks("collections", "defaultdict");
    asks("argparse", "Namespace");
    asks("__torch__.Model", "Model");
    let hidden = refused(&after_tensors(|code| code.global("os\x1b[2K", "system")), &["asks for"]);
    assert!(!hidden.contains('\x1b'), "{hidden:?}");
    for (opcode, name) in [(b'i', "INST"), (b'o', "OBJ"), (0x92, "NEWOBJ_EX"), (0x82, "EXT1")] {
        let text = format!("opcode {name} at byte ");
        refused(&after_tensors(|code| code.raw(&[opcode])), &["not supported", &text, "runs code is not read"]);
    }
    refused(&after_tensors(|code| code.raw(b"I1\n")), &["not supported", "opcode INT", "torch.save does not write"]);
    refused(&after_tensors(|code| code.raw(b"P0\n")), &["opcode PERSID"]);
    refused(&after_tensors(|code| code.raw(&[0xff])), &["0xff, not an opcode of a pickle"]);
    refused(&after_tensors(|code| code.raw(&[0x80, 6])), &["pickle protocol 6"]);
}

#[test]
fn instructions_without_what_they_need_are_refused() {
    let cases: [(&[u8], &str); 18] = [
        (b"t", "no mark for the instruction"),
        (b"0", "opcode POP"),
        (b"(\x85", "no value left"),
        (b"(s", "no value left"),
        (b"(Nu", "a key without a value"),
        (b"(Nd", "a key without a value"),
        (b"]NNs", "on another kind of value"),
        (b"}Na", "on another kind of value"),
        (b"](Ne(NNu", "on another kind of value"),
        (b"h\x63", "no value 99 in the memo"),
        (b"j\xff\xff\xff\xff", "no value 4294967295 in the memo"),
        (b"(q\0", "no value left"),
        (b"X\xff\xff\xff\xffab", "cut off: 4294967295 bytes from byte"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab", "cut off: 18446744073709551615 bytes from byte"),
        (b"X\x01\0\0\0\xff", "is not UTF-8"),
        (b"N)R", "a call at byte"),
        (b"ccollections\nOrderedDict\nNR", "without a tuple of arguments"),
        (b"ccollections\nOrderedDict\n]\x85R", "as Python 2 writes it"),
    ];
    for (bytes, text) in cases {
        refused(&after_tensors(|code| code.raw(bytes)), &[text, "model.bin"]);
    }
    let long = "x".repeat(300);
    refused(&after_tensors(|code| code.global(&long, "y")), &["does not end within 256 bytes"]);
    refused(&after_tensors(|code| code.text(&long).text("y").raw(b"\x93")), &["at most 256 bytes"]);
    refused(&after_tensors(|code| code.raw(b"\x8c\x01ANQ")), &["a persistent id at byte", "not of a storage"]);
    let other = |code: Code| code.raw(b"(").text("module").raw(b"NNNtQ");
    refused(&after_tensors(other), &["a persistent id at byte"]);
    // Nothing after STOP is read, nothing before it may be missing.
    refused(&Zip::default().record("a/data.pkl", &code().dict("a", Code::tensor).0).build(), &["cut off: 1 bytes"]);
}

#[test]
fn nested_and_repeated_values_cost_no_more_than_their_instructions() {
    let start = Instant::now();
    let deep = code().raw(b"N").raw(&vec![0x85; 1 << 20]).raw(b"0").0;
    refused(&Code(deep).file(), &["opcode POP"]);
    let deep_dicts = code().raw(&b"}".repeat(1 << 20)).file();
    refused(&deep_dicts, &["no dict of tensors", "model, state_dict, module, weights"]);
    // Each pair holds the pair before it twice: 2^1000 values if they were copied.
    let doubled = (0..1000).fold(code().raw(b"N"), |code, _| code.raw(b"q\0h\0\x86"));
    refused(&doubled.file(), &["no dict of tensors"]);
    // A dict that contains itself.
    let cycle = code().raw(b"}q\0").text("model").raw(b"h\0s").file();
    refused(&cycle, &["no dict of tensors"]);
    let marks = code().raw(&b"(".repeat(1 << 20)).file();
    refused(&marks, &["no value left"]);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn instructions_and_tensors_are_limited() {
    let long = code().raw(&vec![b'N'; 1 << 22]).file();
    refused(&long, &["instructions of a pickle: 4194305 is more than the limit of 4194304"]);
    let arguments = |code: Code| code.storage("FloatStorage", "0", 6).raw(b"K\0)))t");
    let tensor = arguments(code().global("torch._utils", "_rebuild_tensor").raw(b"q\0(")).raw(b"q\x01h\0h\x01R");
    let many = tensor.clone().raw(&b"h\0h\x01R".repeat(1 << 18)).file();
    refused(&many, &["tensors of a PyTorch file: 262145 is more than the limit of 262144"]);
    // One tensor under many names.
    let names =
        (0..=1 << 18).fold(tensor.raw(b"q\x02}("), |code, name: u32| code.text(&name.to_string()).raw(b"h\x02"));
    refused(&names.raw(b"u").file(), &["tensors of a PyTorch file: 262145 is more than the limit of 262144"]);
    let name = "n".repeat(2000);
    refused(&code().dict(&name, Code::tensor).file(), &["bytes of a tensor's name: 2000"]);
}

#[test]
fn tensors_that_do_not_fit_their_storage_are_refused() {
    let (huge, most) = (i64::from(u32::MAX), i64::MAX);
    let view = |offset: i64, shape: &[i64], strides: &[i64]| {
        code().dict("blk", |code| code.view(offset, shape, strides)).file()
    };
    let cases: [(i64, &[i64], &[i64], &str); 12] = [
        (0, &[7], &[1], "tensor blk of [7] at element 0 of storage 0, which has 6"),
        (1, &[2, 3], &[3, 1], "tensor blk of [2, 3] at element 1 of storage 0"),
        (7, &[0], &[1], "tensor blk of [0] at element 7"),
        (most, &[1], &[1], "at element 9223372036854775807"),
        (most, &[most], &[1], "at element 9223372036854775807"),
        (0, &[huge, huge, huge], &[huge, huge, 1], "is not contiguous"),
        (0, &[huge, 1 << 40], &[1 << 40, 1], "tensor blk of [4294967295, 1099511627776]"),
        (-1, &[1], &[1], "the offset of a tensor of -1"),
        (0, &[-6], &[1], "an axis of -6"),
        (0, &[6], &[-1], "an axis of -1"),
        (0, &[6], &[1, 1], "shape [6] with strides [1, 1]"),
        (0, &[1; 9], &[1; 9], "of 9 axes, at most 8"),
    ];
    for (offset, shape, strides, text) in cases {
        let bytes = view(offset, shape, strides);
        if text != "is not contiguous" {
            refused(&bytes, &[text]);
        } else {
            assert!(read(&bytes).unwrap()["blk"].place.as_ref().unwrap_err().contains(text));
        }
    }
    let whole = read(&view(1, &[1, 1, 5], &[77, 0, 1])).unwrap();
    assert_eq!(whole["blk"].place.as_ref().unwrap().1.len(), 20);
}

#[test]
fn storages_that_do_not_fit_the_file_are_refused() {
    let of = |class: &str, key: &str, len: i64| {
        let call = |code: Code| {
            let call = code.global("torch._utils", "_rebuild_tensor_v2").raw(b"(").storage(class, key, len);
            call.raw(b"K\0K\x01\x85K\x01\x85\x89NtR")
        };
        code().dict("blk", call).file()
    };
    assert!(read(&of("FloatStorage", "0", 6)).unwrap()["blk"].place.is_ok());
    refused(&of("FloatStorage", "0", 7), &["storage 0 of tensor blk has 24 bytes, not 28"]);
    refused(&of("HalfStorage", "0", 6), &["storage 0 of tensor blk has 24 bytes, not 12"]);
    refused(&of("FloatStorage", "0", i64::MAX), &["which has 9223372036854775807"]);
    refused(&of("FloatStorage", "0", -1), &["the length of a storage of -1"]);
    refused(&of("FloatStorage", "1", 6), &["record archive/data/1 is missing"]);
    refused(&of("FloatStorage", "../data/0", 6), &["record archive/data/../data/0 is missing"]);
    refused(&of("OddStorage", "0", 6), &["asks for torch.OddStorage"]);
}

#[test]
fn the_state_dict_is_found_by_its_key() {
    let names = |bytes: &[u8]| {
        let mut names: Vec<String> = read(bytes).unwrap().into_keys().collect();
        names.sort();
        names
    };
    let inner = |code: Code, key: &str, name: &str| code.text(key).dict(name, Code::tensor).raw(b"s");
    for key in ["model", "state_dict", "module", "weights"] {
        // A tensor beside it, such as the state of a random generator, does not make the outer dict the one.
        let beside = code().dict("rng_state", Code::tensor);
        assert_eq!(names(&inner(beside, key, "a").file()), ["a"], "{key}");
    }
    let both = inner(inner(code().raw(b"}"), "weights", "a"), "model", "b");
    assert_eq!(names(&both.file()), ["b"]);
    // No dict of tensors under a key that counts before the one that has it.
    let text = inner(code().raw(b"}").text("model").text("toy").raw(b"s"), "module", "a");
    assert_eq!(names(&text.file()), ["a"]);
    let empty = inner(code().raw(b"}").text("model").raw(b"}s"), "module", "a");
    assert_eq!(names(&empty.file()), ["a"]);
    // A tensor named so.
    let flat = code().dict("weights", Code::tensor).text("epoch").int(3).raw(b"s").int(4).tensor().raw(b"s");
    assert_eq!(names(&flat.file()), ["weights"]);
    for none in [code().tensor(), code().raw(b"}"), code().raw(b"]"), inner(code().raw(b"}"), "ema", "a")] {
        refused(&none.file(), &["model.bin: no dict of tensors"]);
    }
    let twice = code().dict("a", Code::tensor).text("a").tensor().raw(b"s");
    refused(&twice.file(), &["tensor a is there twice"]);
}

#[test]
fn no_damage_of_a_pickle_panics() {
    let nested = code().raw(b"}").text("model").dict("a", Code::tensor).raw(b"s");
    check_damage(&nested.file(), &[1, 0x80, 0xff]);
}
