use candle_core::DType;

use super::super::arrays::{Entry, read};
use super::build::Code;
use super::golden;

/// numpy's type `code` in the order `order`.
fn dtype(code: Code, name: &str, order: &str) -> Code {
    let call = code.global("numpy", "dtype").text(name).raw(b"\x89\x88\x87R");
    call.raw(b"(").int(3).text(order).raw(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb")
}

/// An array of `shape` over `bytes`, as protocol 3 writes it.
fn array(code: Code, shape: &[i64], fortran: bool, of: impl FnOnce(Code) -> Code, bytes: &[u8]) -> Code {
    let call = code.global("numpy.core.multiarray", "_reconstruct").raw(b"(").global("numpy", "ndarray");
    let begun = call.ints(&[0]).raw(b"C\x01btR").raw(b"(").int(1).ints(shape);
    let flag: &[u8] = if fortran { b"\x88" } else { b"\x89" };
    of(begun).raw(flag).raw(&[b'C', bytes.len() as u8]).raw(bytes).raw(b"tb")
}

fn error(file: &[u8]) -> String {
    read(file).unwrap_err().of_file(std::path::Path::new("film.pkl")).to_string()
}

fn one(shape: &[i64], name: &str, order: &str, bytes: &[u8]) -> Vec<u8> {
    let of = |code: Code| dtype(code, name, order);
    Code::new().dict("feats", |code| array(code, shape, false, of, bytes)).stop()
}

#[test]
fn arrays_and_texts_that_python_wrote_are_listed_where_they_lie() {
    for name in ["film_protocol3.pkl", "film_protocol4.pkl", "film_protocol5.pkl", "film_old_numpy.pkl"] {
        let file = std::fs::read(golden(name)).unwrap();
        let values = read(&file).unwrap();
        let Some(Entry::Array(DType::F16, shape, range)) = values.get("feats") else { panic!("{name}: {values:?}") };
        assert_eq!(shape, &[2, 5, 3], "{name}");
        // The values are 0, 1, 2, ... 29.
        let halves = file[range.clone()].chunks_exact(2).map(|two| half::f16::from_le_bytes([two[0], two[1]]).to_f32());
        assert_eq!(halves.collect::<Vec<_>>(), (0..30).map(|value| value as f32).collect::<Vec<_>>(), "{name}");
        let Some(Entry::Text(range)) = values.get("inputs") else { panic!("{name}: {values:?}") };
        assert_eq!(std::str::from_utf8(&file[range.clone()]).unwrap(), "<image>Hello é.<image>", "{name}");
        assert!(matches!(values.get("count"), Some(Entry::Unread(_))), "{name}");
    }
}

#[test]
fn damage_is_an_error_or_arrays_inside_the_file() {
    for name in ["film_protocol3.pkl", "film_protocol5.pkl"] {
        let whole = std::fs::read(golden(name)).unwrap();
        for at in 0..whole.len() {
            for bytes in [whole[..at].to_vec(), [&whole[..at], &[whole[at] ^ 1], &whole[at + 1..]].concat()] {
                for entry in read(&bytes).into_iter().flatten().map(|(_, entry)| entry) {
                    if let Entry::Array(dtype, shape, range) = entry {
                        assert!(range.end <= bytes.len());
                        assert_eq!(range.len(), shape.iter().product::<usize>() * dtype.size_in_bytes());
                    }
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_numbers() {
    assert!(read(&one(&[2, 2], "f2", "<", &[0; 8])).is_ok());
    assert!(error(&one(&[2, 2], "f2", "<", &[0; 6])).contains("shape [2, 2] has 6 bytes"));
    assert!(error(&one(&[i64::MAX, 4], "f4", "<", &[0; 8])).contains("has 8 bytes"));
    assert!(error(&one(&[-1], "f2", "<", &[0; 8])).contains("an axis of -1"));
    assert!(error(&one(&[1; 9], "f2", "<", &[0; 2])).contains("9 axes"));
    assert!(error(&one(&[4], "f2", ">", &[0; 8])).contains("big-endian"));
    let values = read(&one(&[1], "f8", "<", &[0; 8])).unwrap();
    assert!(matches!(&values["feats"], Entry::Unread(why) if why.contains("f8")), "{values:?}");
    let of = |code: Code| dtype(code, "f2", "<");
    let fortran = Code::new().dict("feats", |code| array(code, &[2], true, of, &[0; 4])).stop();
    assert!(error(&fortran).contains("Fortran"));
    let untyped = Code::new().dict("feats", |code| array(code, &[2], false, |code| code.int(2), &[0; 4])).stop();
    assert!(error(&untyped).contains("without a type"));
    assert!(error(&Code::new().int(3).stop()).contains("no dict"));
    assert!(error(b"PK\x03\x04").contains("not a pickle"));
}

#[test]
fn nothing_but_arrays_may_be_asked_for() {
    for (module, name) in [
        ("os", "system"),
        ("numpy", "load"),
        ("numpy", "fromfile"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy.core.multiarray", "fromstring"),
        ("numpy.random._pickle", "__randomstate_ctor"),
        ("numpy.lib.npyio", "load"),
    ] {
        let file = Code::new().dict("feats", |code| code.global(module, name).text("x").raw(b"\x85R")).stop();
        let text = error(&file);
        assert!(text.contains(&format!("asks for {module}.{name} at byte")), "{text}");
    }
}
