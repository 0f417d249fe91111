#![no_main]
//! Bytes as a file of `torch.save`. The first byte says what the others are: the whole file, the pickle of a zip file,
//! or the object of a legacy file. Whatever they are: no panic, no hang, and each tensor has as many bytes as its shape
//! says.

use zoetrope_models::weights::PickleFile;

/// A record of a zip file, and the end of the file, with all sizes zero.
const RECORD: [u8; 46] = start(b"PK\x01\x02");
const HEADER: [u8; 30] = start(b"PK\x03\x04");
const END: [u8; 22] = start(b"PK\x05\x06");
/// A storage of four floats and what comes before the object in a legacy file.
const STORAGE: [u8; 16] = [0; 16];
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\
                        \x80\x02}X\x0d\0\0\0little_endian\x88s.";
/// What comes after it: the list of one key, and the storage's length.
const KEYS: &[u8] = b"\x80\x02]X\x01\0\0\x000a.\x04\0\0\0\0\0\0\0";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let file = match kind {
        b'p' => zip(&[(b"a/data.pkl", rest), (b"a/data/0", &STORAGE)]),
        b'l' => [LEGACY, rest, KEYS, &STORAGE].concat(),
        _ => rest.to_vec(),
    };
    let path = std::env::temp_dir().join(format!("zoetrope-fuzz-pickle-{}", std::process::id()));
    std::fs::write(&path, &file).expect("a file in the temporary folder");
    let Ok(pickle) = PickleFile::open(&path) else { return };
    for name in pickle.names() {
        let shape = pickle.shape(name).expect("the shape of a tensor that is listed");
        if let Ok((dtype, bytes)) = pickle.float(name, shape) {
            assert_eq!(bytes.len(), shape.iter().product::<usize>() * dtype.size_in_bytes());
            std::hint::black_box(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
    }
});

const fn start<const N: usize>(signature: &[u8; 4]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < 4 {
        bytes[at] = signature[at];
        at += 1;
    }
    bytes
}

/// A zip file of stored records.
fn zip(records: &[(&[u8], &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in records {
        let (mut header, mut record) = (HEADER, RECORD);
        header[26] = name.len() as u8;
        record[28] = name.len() as u8;
        record[20..24].copy_from_slice(&(data.len() as u32).to_le_bytes());
        record[24..28].copy_from_slice(&(data.len() as u32).to_le_bytes());
        record[42..46].copy_from_slice(&(file.len() as u32).to_le_bytes());
        directory.extend([&record, *name].concat());
        file.extend([&header, *name, *data].concat());
    }
    let mut end = END;
    end[10] = records.len() as u8;
    end[12..16].copy_from_slice(&(directory.len() as u32).to_le_bytes());
    end[16..20].copy_from_slice(&(file.len() as u32).to_le_bytes());
    [&file[..], &directory, &end].concat()
}
