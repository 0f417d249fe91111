use super::build::Code;
use super::{check_damage, golden, read, refused};

const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The parts of a file of one tensor of 6 floats.
fn parts() -> [Vec<u8>; 6] {
    let machine = Code::new().raw(b"}").text("little_endian").raw(b"\x88s").stop();
    let keys = Code::new().raw(b"](").text("0").raw(b"e").stop();
    let data = [&6_u64.to_le_bytes()[..], &[0; 24]].concat();
    let object = Code::new().dict("a", Code::tensor).stop();
    [MAGIC.to_vec(), Code::new().int(1001).stop(), machine, object, keys, data]
}

fn file(change: impl FnOnce(&mut [Vec<u8>; 6])) -> Vec<u8> {
    let mut parts = parts();
    change(&mut parts);
    parts.concat()
}

#[test]
fn legacy_files_that_lie_are_refused() {
    assert!(read(&file(|_| {})).is_ok());
    let keys = |write: fn(Code) -> Code| file(|parts| parts[4] = write(Code::new()).stop());
    refused(b"", &["neither a zip file nor a pickle"]);
    refused(b"version https://git-lfs.github.com/spec/v1", &["neither a zip file nor a pickle"]);
    refused(&file(|parts| parts[0] = parts[3].clone()), &["no magic number"]);
    refused(&file(|parts| parts[0][5] ^= 1), &["no magic number"]);
    refused(&file(|parts| parts[1] = Code::new().int(1002).stop()), &["not supported", "than 1001"]);
    refused(&file(|parts| parts[2] = Code::new().raw(b"}").stop()), &["not supported", "little-endian"]);
    let big = |code: Code| code.raw(b"}").text("little_endian").raw(b"\x89s").stop();
    refused(&file(|parts| parts[2] = big(Code::new())), &["not little-endian"]);
    refused(&keys(|code| code.raw(b"N")), &["is no list of storages"]);
    refused(&keys(|code| code.raw(b"](Ne")), &["whose key is not text"]);
    refused(&keys(|code| code.raw(b"](").text("1").raw(b"e")), &["storage 1 belongs to no tensor"]);
    refused(&keys(|code| code.raw(b"]")), &["storage 0 is missing"]);
    refused(&file(|parts| parts[5][0] = 7), &["storage 0 has 7 elements, its tensors say 6"]);
    refused(&file(|parts| parts[5].truncate(31)), &["cut off: 24 bytes from byte"]);
    let system = Code::new().global("os", "system").text("true").raw(b"\x85R").stop();
    for at in 0..5 {
        refused(&file(|parts| parts[at] = system.clone()), &["asks for os.system"]);
    }
    let mut tar = vec![b'x'; 600];
    tar[257..262].copy_from_slice(b"ustar");
    refused(&tar, &["not supported", "tar format"]);
}

#[test]
fn views_of_another_storage_are_refused() {
    let id = |code: Code| code.raw(b"(").text("storage").global("torch", "FloatStorage").text("0").text("cpu").int(6);
    let of = |view: fn(Code) -> Code| {
        let call = |code: Code| {
            let call = view(id(code.global("torch._utils", "_rebuild_tensor").raw(b"(")));
            call.raw(b"tQK\0K\x06\x85K\x01\x85tR")
        };
        file(|parts| parts[3] = Code::new().dict("a", call).stop())
    };
    assert!(read(&of(|code| code.raw(b"N"))).is_ok());
    let view = of(|code| code.raw(b"(").text("1").raw(b"K\0K\x06t"));
    refused(&view, &["not supported", "storage 0", "view of another storage"]);
}

#[test]
fn no_cut_of_a_legacy_file_is_read() {
    for whole in [file(|_| {}), std::fs::read(golden("legacy.bin")).unwrap()] {
        for len in 0..whole.len() {
            assert!(read(&whole[..len]).is_err(), "{len} of {}", whole.len());
        }
    }
    check_damage(&file(|_| {}), &[1, 0x80, 0xff]);
}
