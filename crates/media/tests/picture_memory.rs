//! The memory that pictures cost, hostile ones above all: what every format can pack beside its pixels, headers and
//! lists that lie, and the largest pictures. One test alone runs in this program, because it counts all allocations.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use zoetrope_media::{DecoderChoice, OpenOptions, open_bytes};
use zoetrope_system::counting_allocator::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// What a picture may cost beside its decoded pixels and twice the bytes of its file (docs/security.md).
const BUDGET: usize = 1 << 20;
/// Bytes that a pixel may cost: as stored, as RGB, and the working memory of its decoder (docs/security.md).
const PIXEL_BUDGET: f64 = 12.0;
/// Bytes that a pixel of 32-bit numbers may cost.
const FLOAT_BUDGET: f64 = 40.0;

/// Zeros, `megabytes` of them, as a zlib stream of a thousandth of that.
fn zeros(megabytes: usize) -> Vec<u8> {
    let matches = megabytes * 1_000_000 / 258;
    let (mut bits, mut filled, mut out) = (0u32, 0, vec![0x78, 0x9c]);
    let mut push = |code: u32, length: u32| {
        bits |= code << filled;
        filled += length;
        while filled >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            filled -= 8;
        }
    };
    // The last block, with fixed codes: the literal 0, then copies of 258 bytes from 1 byte before, then the end.
    push(0b011, 3);
    push(0b0000_1100, 8);
    for _ in 0..matches {
        push(0b1010_0011, 8);
        push(0, 5);
    }
    push(0, 7);
    push(0, 7);
    let sum = ((matches * 258 + 1) % 65521) as u32;
    out.extend((sum << 16 | 1).to_be_bytes());
    out
}

fn png_chunk(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = [kind.as_slice(), &parts.concat()].concat();
    let crc = !body.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    });
    [(body.len() as u32 - 4).to_be_bytes().as_slice(), &body, &crc.to_be_bytes()].concat()
}

fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = DynamicImage::new_rgb8(width, height);
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The file with `parts` put in at `at`.
fn with(file: &[u8], at: usize, parts: &[u8]) -> Vec<u8> {
    [&file[..at], parts, &file[at..]].concat()
}

/// A segment of JPEG.
fn segment(kind: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    [&[0xff, kind], (contents.len() as u16 + 2).to_be_bytes().as_slice(), &contents].concat()
}

fn pngs() -> Vec<(String, Vec<u8>)> {
    let (png, packed) = (encoded(8, 8, ImageFormat::Png), zeros(100));
    let chunks: [(&str, &[u8], usize); 5] = [
        ("zTXt", b"Comment\0\0", 8),
        ("iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0", 8),
        ("iCCP", b"icc\0\0", 1),
        ("tEXt", b"Comment\0", 8),
        ("eXIf", b"II*\0\x08\0\0\0\xff\xff", 8),
    ];
    let mut files = Vec::new();
    for (kind, start, times) in chunks {
        let chunk = png_chunk(kind.as_bytes().try_into().unwrap(), &[start, &packed]);
        let still = with(&png, 33, &chunk.repeat(times));
        files.push((format!("png with {kind}"), still.clone()));
        let control = png_chunk(b"acTL", &[&[0, 0, 0, 1, 0, 0, 0, 0]]);
        let frame = png_chunk(b"fcTL", &[&[0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8], &[0; 14]]);
        files.push((format!("apng with {kind}"), with(&still, 33, &[control, frame].concat())));
        let entry = [0, 0, 1, 0, 1, 0, 8, 8, 0, 0, 1, 0, 32, 0];
        let place = [(still.len() as u32).to_le_bytes(), 22u32.to_le_bytes()].concat();
        files.push((format!("ico with {kind}"), [entry.as_slice(), &place, &still].concat()));
    }
    files
}

fn jpegs() -> Vec<(String, Vec<u8>)> {
    let jpeg = encoded(8, 8, ImageFormat::Jpeg);
    let many = |kind, start: &[u8]| segment(kind, &[start, &[0; 60_000]]).repeat(300);
    // Each part of a profile states the number of parts; each part of XMP the size of the whole.
    let profile: Vec<u8> =
        (1..=255).flat_map(|n| segment(0xe2, &[b"ICC_PROFILE\0", &[n, 255], &[0; 60_000]])).collect();
    let guid = [b"http://ns.adobe.com/xmp/extension/\0".as_slice(), &[b'0'; 32], &[0xff; 4], &[0; 4]].concat();
    let exif = many(0xe1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff");
    let parts = [
        ("EXIF", exif.clone()),
        ("XMP", many(0xe1, b"http://ns.adobe.com/xap/1.0/\0")),
        ("extended XMP", many(0xe1, &guid)),
        ("profile", profile),
        ("Photoshop", many(0xed, b"Photoshop 3.0\0")),
        ("comments", many(0xfe, b"")),
    ];
    let mut files: Vec<(String, Vec<u8>)> =
        parts.map(|(name, part)| (format!("jpeg with {name}"), with(&jpeg, 2, &part))).into();
    files.push(("jpeg with EXIF behind the image".into(), [&jpeg[..], &exif].concat()));
    files.push(("jpeg with EXIF before its end".into(), with(&jpeg, jpeg.len() - 2, &exif)));
    files
}

fn webps() -> Vec<(String, Vec<u8>)> {
    let simple = encoded(8, 8, ImageFormat::WebP);
    let riff = |parts: &[&[u8]]| {
        let body = parts.concat();
        [b"RIFF".as_slice(), &(body.len() as u32 + 4).to_le_bytes(), b"WEBP", &body].concat()
    };
    let chunk = |kind: &str| [kind.as_bytes(), &20_000_000u32.to_le_bytes(), &vec![0; 20_000_000]].concat();
    let head = [b"VP8X\x0a\0\0\0\x2c\0\0\0".as_slice(), &[7, 0, 0, 7, 0, 0]].concat();
    let file = |kind| (format!("webp with {kind}"), riff(&[&head, &chunk(kind), &simple[12..]]));
    ["ICCP", "EXIF", "XMP ", "junk"].map(file).into()
}

fn gifs() -> Vec<(String, Vec<u8>)> {
    let gif = encoded(8, 8, ImageFormat::Gif);
    let tables = 13 + if gif[10] & 0x80 == 0 { 0 } else { 3 << ((gif[10] & 7) + 1) };
    let long = [&[255; 256][..]; 40_000].concat();
    let extension = |label: u8, start: &[u8]| [&[0x21, label], start, &long, &[0]].concat();
    let file = |(name, part): (&str, Vec<u8>)| (format!("gif with {name}"), with(&gif, tables, &part));
    [
        ("comments", extension(0xfe, b"")),
        ("a profile", extension(0xff, b"\x0bICCRGBG1012")),
        ("XMP", extension(0xff, b"\x0bXMP DataXMP")),
        ("endless control", extension(0xf9, b"\x04\0\0\0\0")),
    ]
    .map(file)
    .into()
}

fn tiffs() -> Vec<(String, Vec<u8>)> {
    let tiff = encoded(8, 8, ImageFormat::Tiff);
    let word = |at: usize| u32::from_le_bytes(tiff[at..at + 4].try_into().unwrap()) as usize;
    let directory = word(4);
    let count = usize::from(u16::from_le_bytes([tiff[directory], tiff[directory + 1]]));
    let entries: Vec<&[u8]> = tiff[directory + 2..].chunks(12).take(count).collect();
    // The directory again at the end, with another entry, or with another count in an entry.
    let rebuilt = |entries: &[Vec<u8>]| {
        let mut file = [&tiff[..], &vec![1; 2_000_000]].concat();
        let at = file.len() as u32;
        file[4..8].copy_from_slice(&at.to_le_bytes());
        file.extend((entries.len() as u16).to_le_bytes());
        entries.iter().for_each(|entry| file.extend(entry));
        file.extend(at.to_le_bytes());
        file
    };
    let mut files = Vec::new();
    for (tag, kind) in [(270u16, 2u16), (320, 3), (330, 4), (347, 7), (700, 1), (34377, 1), (34665, 4), (34675, 7)] {
        for values in [1_900_000u32, u32::MAX] {
            let entry = [tag.to_le_bytes(), kind.to_le_bytes()].concat();
            let entry = [entry, values.to_le_bytes().into(), (tiff.len() as u32).to_le_bytes().into()].concat();
            let mut all: Vec<Vec<u8>> = entries.iter().map(|entry| entry.to_vec()).collect();
            all.push(entry);
            all.sort_by_key(|entry| u16::from_le_bytes([entry[0], entry[1]]));
            files.push((format!("tiff with {values} values of {tag}"), rebuilt(&all)));
        }
    }
    for number in 0..entries.len() {
        for values in [65_537u32, u32::MAX] {
            let mut all: Vec<Vec<u8>> = entries.iter().map(|entry| entry.to_vec()).collect();
            all[number][4..8].copy_from_slice(&values.to_le_bytes());
            all[number][8..12].copy_from_slice(&(tiff.len() as u32).to_le_bytes());
            files.push((format!("tiff with {values} values in entry {number}"), rebuilt(&all)));
            // A size of a strip that lies.
            let mut all: Vec<Vec<u8>> = entries.iter().map(|entry| entry.to_vec()).collect();
            all[number][8..12].copy_from_slice(&values.to_le_bytes());
            files.push((format!("tiff with the value {values} in entry {number}"), rebuilt(&all)));
        }
    }
    files
}

/// A HEIF file of one item, with `more` in its list of items.
fn heifs() -> Vec<(String, Vec<u8>)> {
    let atom = |kind: &str, body: &[u8]| [&(body.len() as u32 + 8).to_be_bytes(), kind.as_bytes(), body].concat();
    let file = |name: &str, ipco: Vec<u8>, more: Vec<u8>| {
        let entry = atom("infe", b"\x02\0\0\0\0\x01\0\0hvc1\0");
        let items = atom("iinf", &[b"\0\0\0\0\0\x01".as_slice(), &entry].concat());
        let places = atom("iloc", b"\0\0\0\0\x44\0\0\x01\0\x01\0\0\0\x01\0\0\0\x10\0\0\0\x10");
        let associations = atom("ipma", b"\0\0\0\0\0\0\0\x01\0\x01\x02\x81\x82");
        let properties = atom("iprp", &[atom("ipco", &ipco), associations].concat());
        let meta = [b"\0\0\0\0".as_slice(), &atom("pitm", b"\0\0\0\0\0\x01"), &items, &places, &properties, &more];
        let head = atom("ftyp", b"heic\0\0\0\0mif1heic");
        (format!("heif with {name}"), [head, atom("meta", &meta.concat())].concat())
    };
    let size = atom("ispe", b"\0\0\0\0\0\0\0\x08\0\0\0\x08");
    let profile = atom("colr", &[b"prof".as_slice(), &vec![0; 10_000_000]].concat());
    vec![
        file("a profile", [size.clone(), profile].concat(), Vec::new()),
        file("many properties", [size.clone(), atom("free", b"").repeat(1_000_000)].concat(), Vec::new()),
        file("unknown properties", [size.clone(), atom("mine", b"").repeat(1_000_000)].concat(), Vec::new()),
        file("text", size.clone(), atom("uuid", &vec![0; 10_000_000])),
        file("a long configuration", [size, atom("hvcC", &vec![0; 10_000_000])].concat(), Vec::new()),
    ]
}

/// Headers that state pictures of every size, without pixels.
fn headers() -> Vec<(String, Vec<u8>)> {
    let pam = [b"P7\nWIDTH 8\nHEIGHT 8\nTUPLTYPE ".as_slice(), &vec![b'x'; 20_000_000]].concat();
    let comment = [b"P6\n#".as_slice(), &vec![b'x'; 20_000_000], b"\n8 8\n255\n", &[0; 192]].concat();
    let mut files = vec![("pam of one line".to_string(), pam), ("ppm with a comment".to_string(), comment)];
    let mut tga = vec![0; 18 + 255 + 65_535 * 4];
    tga[..18].copy_from_slice(&[255, 1, 1, 0, 0, 0xff, 0xff, 32, 0, 0, 0, 0, 8, 0, 8, 0, 8, 0]);
    tga.extend([0; 64]);
    tga.extend([&[0; 8], b"TRUEVISION-XFILE.\0".as_slice()].concat());
    files.push(("tga with a palette".into(), tga));
    let mut bmp = encoded(8, 8, ImageFormat::Bmp);
    bmp[46..50].fill(0xff);
    files.push(("bmp with 2^32 - 1 colors".into(), bmp));
    files
}

/// The largest memory that opening and decoding cost, and the decoded bytes: as stored and as RGB.
fn cost(file: Vec<u8>, options: &OpenOptions) -> (usize, usize) {
    let mut pixels = 0;
    let cost = ALLOCATOR.peak_of(|| {
        let Ok(clip) = open_bytes("picture", file, options) else { return };
        let (width, height) = clip.largest_size();
        pixels = width as usize * height as usize;
        if let Ok(frames) = clip.frames(&[0]) {
            frames.for_each(|frame| drop(frame.ok()));
        }
    });
    (cost, pixels)
}

#[test]
fn a_picture_costs_its_pixels_its_file_and_a_stated_budget() {
    let options = OpenOptions { decoder: DecoderChoice::Embedded, ..OpenOptions::default() };
    // What the decoders set up once is nobody's cost.
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Tiff] {
        assert_eq!(cost(encoded(8, 8, format), &options).1, 64, "{format:?} is read");
    }
    let bombs = [pngs(), jpegs(), webps(), gifs(), tiffs(), heifs(), headers()].concat();
    let mut over = Vec::new();
    for (name, file) in bombs {
        let bytes = file.len();
        let (cost, pixels) = cost(file, &options);
        let beyond = cost.saturating_sub(2 * bytes);
        println!("{name}: {bytes} bytes, {pixels} pixels cost {cost}, {beyond} beyond twice the file");
        if beyond > BUDGET + pixels * 12 {
            over.push(name);
        }
    }
    assert!(over.is_empty(), "over the budget: {over:?}");
    large_pictures(&options);
}

/// A picture costs at most a stated number of bytes a pixel, whatever its format.
fn large_pictures(options: &OpenOptions) {
    let (width, height) = (1_600, 1_200);
    let rgb = DynamicImage::new_rgb8(width, height);
    let pictures =
        [rgb.clone(), rgb.to_luma8().into(), rgb.to_rgba8().into(), rgb.to_rgba16().into(), rgb.to_rgba32f().into()];
    let formats = [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Gif, ImageFormat::Jpeg];
    for format in formats.into_iter().chain([ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Qoi, ImageFormat::Tga]) {
        for picture in &pictures {
            let mut bytes = Cursor::new(Vec::new());
            if picture.write_to(&mut bytes, format).is_err() {
                continue;
            }
            let mut file = bytes.into_inner();
            if format == ImageFormat::Tga {
                file.extend([&[0; 8], b"TRUEVISION-XFILE.\0".as_slice()].concat());
            }
            let size = file.len();
            let (cost, pixels) = cost(file, options);
            assert_eq!(pixels, (width * height) as usize, "{format:?} of {:?} is read", picture.color());
            let a_pixel = cost.saturating_sub(2 * size + BUDGET) as f64 / pixels as f64;
            println!("{format:?} of {:?}: {size} bytes, {a_pixel:.2} bytes a pixel", picture.color());
            let budget = if picture.color().bytes_per_pixel() > 8 { FLOAT_BUDGET } else { PIXEL_BUDGET };
            assert!(a_pixel <= budget, "{format:?} of {:?}: {a_pixel:.2} bytes a pixel", picture.color());
        }
    }
}
