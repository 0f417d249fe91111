//! Byte sources and recognition of containers.

use std::io::Write;

use crate::bytes::{atom, chunk};
use zoetrope_media::MediaError;
use zoetrope_media::container;
use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::track::Container;

#[test]
fn a_file_and_its_bytes_read_the_same() {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    for source in [ByteSource::open(file.path()).unwrap(), ByteSource::from_bytes(bytes.clone())] {
        assert_eq!(source.len(), 256);
        assert_eq!(source.read_vec(250, 6).unwrap(), bytes[250..]);
        assert!(matches!(source.read_vec(250, 7), Err(MediaError::Io(_))));
        assert!(matches!(source.read_vec(u64::MAX, 1), Err(MediaError::Io(_))));
        let mut buf = [0; 10];
        assert_eq!(source.read_some(252, &mut buf).unwrap(), 4);
        assert_eq!(buf[..4], bytes[252..]);
        assert_eq!(source.read_some(1 << 40, &mut buf).unwrap(), 0);
    }
}

#[test]
fn opening_what_is_no_file_fails() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(ByteSource::open(dir.path()), Err(MediaError::Caller(_))));
    assert!(matches!(ByteSource::open(&dir.path().join("none.mp4")), Err(MediaError::Io(_))));
}

#[test]
fn containers_are_told_by_their_first_bytes() {
    let sniff = |bytes: &[u8]| container::sniff(&ByteSource::from_bytes(bytes));
    assert_eq!(sniff(&atom(b"ftyp", &[b"isom\0\0\0\0"])), Some(Container::Mp4));
    assert_eq!(sniff(&atom(b"moov", &[&[0; 100]])), Some(Container::Mp4));
    assert_eq!(sniff(&atom(b"ftyp", &[b"avif\0\0\0\0"])), None);
    assert_eq!(sniff(&atom(b"ftyp", &[b"heic\0\0\0\0"])), None);
    assert_eq!(sniff(&[0x1a, 0x45, 0xdf, 0xa3, 0x80]), Some(Container::Matroska));
    assert_eq!(sniff(&chunk(b"RIFF", &[b"AVI "])), Some(Container::Avi));
    assert_eq!(sniff(&chunk(b"RIFF", &[b"WAVE"])), None);
    assert_eq!(sniff(&chunk(b"RIFF", &[b"WEBP"])), None);
    let packets = |size: usize, first: usize| {
        let mut bytes = vec![0xff; first + 5 * size];
        (0..5).for_each(|i| bytes[first + i * size] = 0x47);
        bytes
    };
    for (size, first) in [(188, 0), (192, 4), (204, 0), (188, 77)] {
        assert_eq!(sniff(&packets(size, first)), Some(Container::Ts), "{size} {first}");
    }
    assert_eq!(sniff(b""), None);
    assert_eq!(sniff(b"GGGGGGGGGGGGGGG"), None);
    assert_eq!(sniff("just some text in a file that is called .mp4 and nothing else in it".as_bytes()), None);
}

#[test]
fn an_empty_source_is_malformed() {
    let error = container::read(&ByteSource::from_bytes([]), Container::Mp4, &Default::default()).unwrap_err();
    assert_eq!(error.to_string(), "malformed file: it is empty (0 bytes)");
}
