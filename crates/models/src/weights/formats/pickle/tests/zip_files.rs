use super::build::{Code, Zip};
use super::{check, check_damage, read, refused};

/// A file of one tensor of 6 floats, with its directory's faults still to come.
fn zip() -> Zip {
    let pickle = Code::new().dict("a", Code::tensor).stop();
    Zip::default().record("archive/data.pkl", &pickle).record("archive/data/0", &[0; 24])
}

#[test]
fn a_directory_is_read_whatever_its_folder_order_and_comment() {
    assert!(read(&zip().build()).is_ok());
    for folder in ["archive", "model", "pytorch model.bin", "ü", "a/b"] {
        let mut zip = zip();
        for record in &mut zip.records {
            record.name = record.name.replace("archive", folder);
        }
        zip.records.reverse();
        zip.comment = vec![b'P'; 65_535];
        assert!(read(&zip.build()).is_ok(), "{folder}");
    }
    assert!(read(&zip().record("archive/byteorder", b"little").build()).is_ok());
    // What no tensor needs may be anything.
    assert!(read(&zip().record("archive/code/a.py", b"").with(|record| record.method = 8).build()).is_ok());
}

#[test]
fn records_that_cannot_be_mapped_are_refused() {
    refused(&zip().with(|record| record.method = 8).build(), &["archive/data/0 is compressed (method 8)"]);
    let bomb = zip().with(|record| (record.method, record.sizes) = (8, Some((24, u32::MAX - 1))));
    refused(&bomb.build(), &["not supported", "archive/data/0 is compressed (method 8)"]);
    refused(&zip().with(|record| record.flags = 1).build(), &["not supported", "archive/data/0 is encrypted"]);
    refused(&zip().with(|record| record.sizes = Some((24, 4000))).build(), &["stored in 4000 bytes as 24"]);
    refused(&zip().with(|record| record.sizes = Some((1 << 30, 1 << 30))).build(), &["cut off: 1073741824 bytes"]);
    refused(&zip().with(|record| record.sizes = Some((20, 20))).build(), &["has 20 bytes, not 24"]);
    refused(&zip().with(|record| record.header = Some(1)).build(), &["archive/data/0 does not begin at byte 1"]);
    refused(&zip().with(|record| record.header = Some(0)).build(), &["at byte 0 is not archive/data/0"]);
    refused(&zip().with(|record| record.header = Some(1 << 31)).build(), &["cut off: 4 bytes from byte 2147483648"]);
    refused(&zip().with(|record| record.header = Some(u32::MAX)).build(), &["archive/data/0 has no zip64 sizes"]);
}

#[test]
fn directories_that_lie_are_refused() {
    let wrong = |change: fn(&mut Zip)| {
        let mut zip = zip();
        change(&mut zip);
        zip.build()
    };
    refused(&wrong(|zip| zip.count = Some(u16::MAX)), &["65535 records in a directory of"]);
    refused(&wrong(|zip| zip.count = Some(1)), &["record archive/data/0 is missing"]);
    refused(&wrong(|zip| zip.count = Some(0)), &["a zip file without data.pkl"]);
    refused(&wrong(|zip| zip.size = Some(u32::MAX)), &["a directory of 4294967295 bytes at byte"]);
    refused(&wrong(|zip| zip.start = Some(u32::MAX)), &["at byte 4294967295, the file has"]);
    refused(&wrong(|zip| zip.start = Some(3)), &["no record of the directory at byte 3"]);
    refused(&wrong(|zip| zip.comment = b"PK\x05\x06".to_vec())[..40], &["without its end"]);
    refused(&zip().record("archive/data/0", b"").build(), &["record archive/data/0 is there twice"]);
    refused(&zip().record("other/data.pkl", b"").build(), &["several records data.pkl"]);
    refused(&Zip::default().record("a.txt", b"").build(), &["not one of torch.save"]);
    refused(&zip().record("archive/byteorder", b"big").build(), &["not supported", "byte order big"]);
}

/// The directory of `zip()`, behind a zip64 end record that says these numbers.
fn zip64(count: u64, size: u64, start: u64, at: u64) -> Vec<u8> {
    let mut file = zip().build();
    let end = file.split_off(file.len() - 22);
    file.extend(b"PK\x06\x06");
    file.extend([0; 28]);
    [count, size, start].iter().for_each(|number| file.extend(number.to_le_bytes()));
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend(at.to_le_bytes());
    file.extend([1, 0, 0, 0]);
    file.extend(&end[..8]);
    file.extend([0xff; 12]);
    file.extend(&end[20..]);
    file
}

#[test]
fn zip64_records_count_where_they_are() {
    let plain = zip().build();
    let number = |at: usize| u64::from(u32::from_le_bytes(plain[at..at + 4].try_into().unwrap()));
    let (size, start, at) = (number(plain.len() - 10), number(plain.len() - 6), plain.len() as u64 - 22);
    assert!(read(&zip64(2, size, start, at)).is_ok());
    refused(&zip64(u64::MAX, size, start, at), &["18446744073709551615 records in a directory of"]);
    refused(&zip64(2, u64::MAX, start, at), &["a directory of 18446744073709551615 bytes"]);
    refused(&zip64(2, size, u64::MAX, at), &["at byte 18446744073709551615"]);
    refused(&zip64(2, size, start, u64::MAX), &["cut off: 4 bytes from byte 18446744073709551615"]);
    refused(&zip64(2, size, start, at - 1), &["no zip64 end record at byte"]);
    check_damage(&zip64(2, size, start, at), &[1, 0x80, 0xff]);
    // The sizes of a record.
    let of = |numbers: &[u64]| {
        let mut extra = vec![9, 9, 2, 0, 0, 0, 1, 0, numbers.len() as u8 * 8, 0];
        numbers.iter().for_each(|number| extra.extend(number.to_le_bytes()));
        let wide = |record: &mut super::build::Record| {
            (record.sizes, record.extra) = (Some((u32::MAX, u32::MAX)), extra);
        };
        zip().with(wide).build()
    };
    assert!(read(&of(&[24, 24])).is_ok());
    refused(&of(&[u64::MAX, u64::MAX]), &["cut off: 18446744073709551615 bytes"]);
    refused(&of(&[24]), &["has no zip64 sizes"]);
}

#[test]
fn records_are_limited() {
    let many = (0..1 << 18).fold(zip(), |zip, number| zip.record(&number.to_string(), b""));
    let mut file = many.build();
    let size = u32::from_le_bytes(file[file.len() - 10..file.len() - 6].try_into().unwrap());
    let (at, end) = (file.len() as u64 - 22, file.split_off(file.len() - 22));
    file.extend(b"PK\x06\x06");
    file.extend([0; 28]);
    [(1_u64 << 18) + 2, size.into(), at - u64::from(size)].iter().for_each(|n| file.extend(n.to_le_bytes()));
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend(at.to_le_bytes());
    file.extend([1, 0, 0, 0]);
    file.extend(end);
    refused(&file, &["records of a PyTorch file: 262146 is more than the limit of 262144"]);
}

#[test]
fn no_cut_of_a_file_is_read() {
    let whole = zip().build();
    for len in 0..whole.len() {
        assert!(read(&whole[..len]).is_err(), "{len} of {}", whole.len());
    }
    check(&whole);
    check_damage(&whole, &[1, 0x80, 0xff]);
}
