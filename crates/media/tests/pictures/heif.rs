//! HEIC and AVIF, built around key frames of the codec goldens.

use std::path::Path;

use zoetrope_media::container::byte_source::ByteSource;
use zoetrope_media::container::{self, track::Container};
use zoetrope_media::{Alpha, Limits, Rgb, open_bytes};

use super::maker::{atom, error, frames, full, open, options};

/// A key frame: the type of its item, its configuration box, its bytes, its size and its picture.
struct Coded {
    kind: [u8; 4],
    configuration: Vec<u8>,
    data: Vec<u8>,
    picture: Rgb,
}

fn coded(name: &str) -> Coded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codec").join(name);
    let source = ByteSource::open(&path).unwrap();
    let movie = container::read(&source, Container::Mp4, &Limits::default()).unwrap();
    let picture = frames(&open(&std::fs::read(&path).unwrap())).remove(0).image;
    let (kind, configuration) = if name.starts_with("hevc") { (*b"hvc1", b"hvcC") } else { (*b"av01", b"av1C") };
    let configuration = atom(configuration, &[&movie.track.extradata]);
    Coded { kind, configuration, data: movie.read_sample(&source, 0).unwrap(), picture }
}

/// An item: its type, its data, its properties (positions from 1), its references.
#[derive(Clone, Default)]
struct Item {
    kind: [u8; 4],
    data: Vec<u8>,
    properties: Vec<u8>,
    references: Vec<([u8; 4], Vec<u16>)>,
}

/// A file of items numbered from 1, the first of which is the picture. `in_idat` puts the data into `idat`.
fn heif(brand: &[u8; 4], properties: &[Vec<u8>], items: &[Item], in_idat: bool) -> Vec<u8> {
    let numbers = || (1u16..).map(u16::to_be_bytes);
    let count = (items.len() as u16).to_be_bytes();
    let infe = |(id, item): ([u8; 2], &Item)| full(b"infe", 2, 0, &[&id, &[0, 0], &item.kind, b"\0"]);
    let iinf = full(b"iinf", 0, 0, &[&count, &numbers().zip(items).map(infe).collect::<Vec<_>>().concat()]);
    let ipma =
        |(id, item): ([u8; 2], &Item)| [&id, [item.properties.len() as u8].as_slice(), &item.properties].concat();
    let entries = numbers().zip(items).map(ipma).collect::<Vec<_>>().concat();
    let ipma = full(b"ipma", 0, 0, &[&(items.len() as u32).to_be_bytes(), &entries]);
    let iprp = atom(b"iprp", &[&atom(b"ipco", &[&properties.concat()]), &ipma]);
    let reference = |id: [u8; 2], (kind, to): &([u8; 4], Vec<u16>)| {
        let list: Vec<u8> = to.iter().flat_map(|id| id.to_be_bytes()).collect();
        atom(kind, &[&id, &(to.len() as u16).to_be_bytes(), &list])
    };
    let references = numbers().zip(items).flat_map(|(id, item)| item.references.iter().map(move |r| reference(id, r)));
    let iref = full(b"iref", 0, 0, &[&references.collect::<Vec<_>>().concat()]);
    let data: Vec<u8> = items.iter().flat_map(|item| item.data.clone()).collect();
    let ftyp = atom(b"ftyp", &[brand, &[0; 4], b"mif1"]);
    let meta = |start: u32| {
        let mut at = start;
        let mut locations = Vec::new();
        for (id, item) in numbers().zip(items) {
            let length = item.data.len() as u32;
            let words = [at.to_be_bytes(), length.to_be_bytes()].concat();
            locations.extend([&id, [0, u8::from(in_idat)].as_slice(), &[0, 0, 0, 1], &words].concat());
            at += length;
        }
        let iloc = full(b"iloc", 1, 0, &[&[0x44, 0], &count, &locations]);
        let idat = if in_idat { atom(b"idat", &[&data]) } else { Vec::new() };
        full(b"meta", 0, 0, &[&full(b"pitm", 0, 0, &[&[0, 1]]), &iinf, &iloc, &iprp, &iref, &idat])
    };
    if in_idat {
        return [ftyp, meta(0)].concat();
    }
    let start = ftyp.len() + meta(0).len() + 8;
    [ftyp, meta(start as u32), atom(b"mdat", &[&data])].concat()
}

fn ispe(width: u32, height: u32) -> Vec<u8> {
    full(b"ispe", 0, 0, &[&width.to_be_bytes(), &height.to_be_bytes()])
}

/// Limited range, nothing else said, as the videos of the goldens are.
fn limited() -> Vec<u8> {
    atom(b"colr", &[b"nclx", &[0, 2, 0, 2, 0, 2, 0]])
}

/// Properties 1 to 3 of a coded picture: size, configuration, color; then more.
fn properties(coded: &Coded, more: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let size = ispe(coded.picture.width, coded.picture.height);
    [vec![size, coded.configuration.clone(), limited()], more.to_vec()].concat()
}

fn single(coded: &Coded, properties: &[u8]) -> Item {
    Item { kind: coded.kind, data: coded.data.clone(), properties: properties.to_vec(), references: Vec::new() }
}

#[test]
fn a_picture_equals_the_key_frame_it_is_made_of() {
    for (name, brand, format) in [("hevc-main.mp4", b"heic", "heic"), ("av1.mp4", b"avif", "avif")] {
        let coded = coded(name);
        for in_idat in [false, true] {
            let clip = open(&heif(brand, &properties(&coded, &[]), &[single(&coded, &[1, 0x82, 3])], in_idat));
            assert!(clip.is_still());
            assert_eq!((clip.info().container.as_str(), clip.info().alpha), (format, None));
            assert_eq!((clip.width(), clip.height()), (coded.picture.width, coded.picture.height));
            assert!(frames(&clip)[0].image == coded.picture, "{name} {in_idat}");
        }
    }
}

#[test]
fn a_turned_picture_is_turned() {
    let coded = coded("hevc-main.mp4");
    let irot = atom(b"irot", &[&[3]]);
    let clip = open(&heif(b"heic", &properties(&coded, &[irot]), &[single(&coded, &[1, 2, 3, 0x84])], false));
    let (width, height) = (coded.picture.width, coded.picture.height);
    assert_eq!((clip.width(), clip.height(), clip.info().rotation), (height, width, 90));
    assert_eq!((clip.info().coded_width, clip.info().coded_height), (width, height));
    let image = &frames(&clip)[0].image;
    let corner = (height as usize - 1) * width as usize * 3;
    assert_eq!(image.data[..3], coded.picture.data[corner..corner + 3]);
}

/// A grid of `columns` by `rows` tiles for a picture of this size.
fn grid(coded: &Coded, columns: u8, rows: u8, size: (u32, u32)) -> Vec<u8> {
    let half = |n: u32| (n as u16).to_be_bytes();
    let body = [&[0, 0, rows - 1, columns - 1], half(size.0).as_slice(), &half(size.1)].concat();
    let tiles = (2..2 + u16::from(columns) * u16::from(rows)).collect::<Vec<_>>();
    let whole = Item { kind: *b"grid", data: body, properties: vec![4], references: vec![(*b"dimg", tiles.clone())] };
    let items = [vec![whole], vec![single(coded, &[1, 2, 3]); tiles.len()]].concat();
    heif(b"heic", &properties(coded, &[ispe(size.0, size.1)]), &items, false)
}

#[test]
fn a_grid_is_put_together_and_cut() {
    let coded = coded("hevc-main.mp4");
    let (w, h) = (coded.picture.width, coded.picture.height);
    let clip = open(&grid(&coded, 2, 3, (2 * w - 10, 3 * h - 6)));
    assert_eq!((clip.width(), clip.height()), (2 * w - 10, 3 * h - 6));
    let image = &frames(&clip)[0].image;
    for (x, y) in [(0, 0), (w - 1, h - 1), (w, 0), (2 * w - 11, h), (5, 2 * h + 3), (w + 7, 3 * h - 7)] {
        let at = |image: &Rgb, x: u32, y: u32| {
            let at = (y * image.width + x) as usize * 3;
            image.data[at..at + 3].to_vec()
        };
        assert_eq!(at(image, x, y), at(&coded.picture, x % w, y % h), "{x} {y}");
    }
}

#[test]
fn grids_that_would_be_work_for_nothing_are_refused() {
    let coded = coded("hevc-main.mp4");
    let (w, h) = (coded.picture.width, coded.picture.height);
    for (columns, rows, size) in [(3, 1, (w, h)), (1, 1, (w + 1, h)), (200, 1, (64, 64))] {
        let error = error(&grid(&coded, columns, rows, size));
        assert!(error.to_string().contains("do not make a picture"), "{error}");
    }
}

#[test]
fn a_picture_larger_than_its_header_says_is_not_decoded() {
    for (name, brand) in [("hevc-main.mp4", b"heic"), ("av1.mp4", b"avif")] {
        let coded = coded(name);
        assert!(coded.picture.data.len() / 3 > 65 * 65);
        let mut small = properties(&coded, &[]);
        small[0] = ispe(1, 1);
        let clip = open(&heif(brand, &small, &[single(&coded, &[1, 2, 3])], false));
        assert!(clip.frames(&[0]).unwrap().next().unwrap().is_err());
    }
}

#[test]
fn enormous_sizes_are_refused_before_anything_is_decoded() {
    let coded = coded("hevc-main.mp4");
    let mut huge = properties(&coded, &[]);
    huge[0] = ispe(40_000, 40_000);
    let error = error(&heif(b"heic", &huge, &[single(&coded, &[1, 2, 3])], false));
    assert_eq!(error.to_string(), "pixels of the picture: 1600000000 is more than the limit of 357913941");
}

#[test]
fn an_alpha_channel_shows_the_background() {
    let coded = coded("av1.mp4");
    let aux = full(b"auxC", 0, 0, &[b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"]);
    let alpha = Item { references: vec![(*b"auxl", vec![1])], ..single(&coded, &[1, 2, 3, 4]) };
    let file = heif(b"avif", &properties(&coded, &[aux]), &[single(&coded, &[1, 2, 3]), alpha], false);
    let clip = open(&file);
    assert_eq!(clip.info().alpha, Some(Alpha::Over([255; 3])));
    // The picture is its own alpha channel: what is black is transparent.
    let shown = frames(&clip).remove(0).image.data;
    for (shown, own) in shown.chunks(3).zip(coded.picture.data.chunks(3)) {
        let alpha = u32::from(own[0]);
        let expected = (u32::from(own[1]) * alpha + 255 * (255 - alpha) + 127) / 255;
        assert!(shown[1].abs_diff(expected as u8) <= 1, "{shown:?} {own:?}");
    }
    let options = zoetrope_media::OpenOptions { alpha: Alpha::Drop, ..options() };
    let dropped = open_bytes("picture", file, &options).unwrap();
    assert!(frames(&dropped)[0].image == coded.picture);
}

#[test]
fn what_is_not_read_is_named() {
    let coded = coded("hevc-main.mp4");
    let unknown = atom(b"lsel", &[&[0, 0]]);
    let file =
        heif(b"heic", &properties(&coded, std::slice::from_ref(&unknown)), &[single(&coded, &[1, 2, 3, 0x84])], false);
    assert!(error(&file).to_string().starts_with("unsupported HEIF property lsel of item 1"));
    // A property that is not essential is skipped.
    open(&heif(b"heic", &properties(&coded, &[unknown]), &[single(&coded, &[1, 2, 3, 4])], false));
    let overlay = Item { kind: *b"iovl", properties: vec![1], ..Item::default() };
    let text = error(&heif(b"heic", &properties(&coded, &[]), &[overlay], false)).to_string();
    assert!(text.starts_with("unsupported HEIF picture that is an overlay"), "{text}");
    let jpeg = Item { kind: *b"unci", properties: vec![1], ..Item::default() };
    let text = error(&heif(b"mif1", &properties(&coded, &[]), &[jpeg], false)).to_string();
    assert!(text.starts_with("unsupported HEIF picture with the codec unci"), "{text}");
}

#[test]
fn derivations_in_a_circle_and_data_outside_the_file_end() {
    let coded = coded("hevc-main.mp4");
    let circle = Item { kind: *b"iden", references: vec![(*b"dimg", vec![1])], ..Item::default() };
    let error_text = |file: &[u8]| error(file).to_string();
    assert!(error_text(&heif(b"heic", &properties(&coded, &[]), &[circle], false)).contains("derivations in a row"));
    let file = heif(b"heic", &properties(&coded, &[]), &[single(&coded, &[1, 2, 3])], false);
    let clip = open(&file[..file.len() - 5]);
    let error = clip.frames(&[0]).unwrap().next().unwrap().unwrap_err().to_string();
    assert!(error.contains("bytes of item 1"), "{error}");
}

#[test]
fn every_prefix_is_an_error_or_a_picture() {
    let coded = coded("hevc-main.mp4");
    let (w, h) = (coded.picture.width, coded.picture.height);
    let file = grid(&coded, 2, 1, (2 * w, h));
    let meta_end = file.windows(4).position(|w| w == b"mdat").unwrap();
    for cut in 0..meta_end {
        if let Ok(clip) = open_bytes("picture", file[..cut].to_vec(), &options()) {
            assert_eq!(clip.frames(&[0]).unwrap().count(), 1);
        }
    }
    // Every byte of the lists, changed: no panic, no frame of another size.
    for at in 0..meta_end {
        let mut file = file.clone();
        file[at] ^= 0x41;
        let Ok(clip) = open_bytes("picture", file, &options()) else { continue };
        for frame in clip.frames(&[0]).unwrap().flatten() {
            assert_eq!((frame.image.width, frame.image.height), (clip.width(), clip.height()), "{at}");
        }
    }
}

#[test]
fn an_image_sequence_is_a_video() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/codec/av1.mp4");
    let video = std::fs::read(path).unwrap();
    let mut sequence = video.clone();
    sequence[8..12].copy_from_slice(b"avis");
    let at = sequence.windows(4).position(|w| w == b"vide").unwrap();
    sequence[at..at + 4].copy_from_slice(b"pict");
    let (video, sequence) = (open(&video), open(&sequence));
    assert_eq!(video.times(), sequence.times());
    let first =
        |clip: &zoetrope_media::Clip| clip.frames(&[0, 3]).unwrap().map(|f| f.unwrap().image).collect::<Vec<_>>();
    assert!(first(&video) == first(&sequence));
    assert!(!sequence.is_still());
}
