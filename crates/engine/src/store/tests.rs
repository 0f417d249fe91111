//! The store as a folder that many write to, that is killed, filled up and damaged.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::entry::{EntryTexts, HEADER};
use super::*;

const PAYLOAD: usize = 1000;
const FILE: u64 = (HEADER + PAYLOAD) as u64;

fn options(folder: &Path) -> StoreOptions {
    StoreOptions { most_bytes: Some(100 * FILE), keep_free: 0, ..StoreOptions::new(folder.join("store")) }
}

fn open(options: StoreOptions) -> Arc<Store> {
    Store::open(options).expect("a store")
}

/// An entry whose payload follows from its number.
fn put(store: &Store, number: u8) -> bool {
    let write = move |out: &mut dyn Write| out.write_all(&[number; PAYLOAD]);
    store.put(EntryKind::KeysValues, [number; 32], EntryTexts::default(), PAYLOAD, PAYLOAD as u64, write)
}

fn get(store: &Store, number: u8) -> Option<Vec<u8>> {
    store.payload(EntryKind::KeysValues, &[number; 32], PAYLOAD)
}

fn path(store: &Store, number: u8) -> std::path::PathBuf {
    let name = format!("{number:02x}").repeat(32);
    store.folder().join(&name[..2]).join(name + ".kv")
}

fn bytes(store: &Store) -> u64 {
    store.files().iter().map(|file| file.bytes).sum()
}

#[test]
fn what_is_written_is_found_by_others_and_damage_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(options(folder.path())), open(options(folder.path())));
    assert!(put(&one, 7) && get(&one, 8).is_none());
    one.flush();
    assert_eq!(get(&other, 7), Some(vec![7; PAYLOAD]));
    assert_eq!((one.files().len(), bytes(&one)), (1, FILE));
    // A file of another entry under this name, and one that lost its end.
    std::fs::create_dir_all(path(&one, 9).parent().expect("a folder")).expect("made");
    std::fs::copy(path(&one, 7), path(&one, 9)).expect("copied");
    assert!(get(&one, 9).is_none() && !path(&one, 9).exists());
    let whole = std::fs::read(path(&one, 7)).expect("bytes");
    std::fs::write(path(&one, 7), &whole[..whole.len() - 1]).expect("written");
    assert!(get(&one, 7).is_none() && !path(&one, 7).exists());
    // Written again, it is whole again.
    assert!(put(&one, 7));
    one.flush();
    assert_eq!(get(&one, 7), Some(vec![7; PAYLOAD]));
    // What is not named as entries are is not ours.
    std::fs::write(one.folder().join("07").join("notes.txt"), b"mine").expect("written");
    one.shrink(0);
    assert!(one.files().is_empty() && one.folder().join("07").join("notes.txt").exists());
}

#[test]
fn the_longest_unused_goes_and_the_limit_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(StoreOptions { most_bytes: Some(8 * FILE), ..options(folder.path()) });
    for number in 0..20 {
        assert!(put(&store, number));
        store.flush();
        assert!(bytes(&store) <= 8 * FILE, "{} bytes after {number}", bytes(&store));
        assert!(get(&store, number).is_some());
        // The first is used over and over.
        let used = SystemTime::now() + Duration::from_secs(u64::from(number));
        let first = std::fs::File::options().write(true).open(path(&store, 0)).expect("the first");
        first.set_modified(used).expect("noted");
    }
    assert!(get(&store, 0).is_some() && get(&store, 1).is_none() && get(&store, 18).is_some());
    let there = store.files().len();
    assert_eq!((store.shrink(3 * FILE), store.files().len()), ((there - 3, (there - 3) as u64 * FILE), 3));
    // An entry larger than the store, and one for which the disk has no room.
    let large = open(StoreOptions { most_bytes: Some(FILE - 1), ..options(folder.path()) });
    let full = open(StoreOptions { keep_free: u64::MAX, ..options(folder.path()) });
    assert!(put(&large, 50) && put(&full, 51));
    drop((large, full));
    assert!(get(&store, 50).is_none() && get(&store, 51).is_none());
}

#[test]
fn a_use_is_noted_when_the_last_one_is_long_ago() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(options(folder.path()));
    put(&store, 1);
    store.flush();
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().write(true).open(path(&store, 1)).and_then(|f| f.set_modified(long_ago)).expect("set");
    assert_eq!(store.find(EntryKind::KeysValues, &[1; 32]), Some(FILE));
    assert!(store.files()[0].used.elapsed().expect("past") < Duration::from_secs(60));
    assert_eq!(store.find(EntryKind::Features, &[1; 32]), None);
}

#[test]
fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let living = open(options(folder.path()));
    put(&living, 1);
    living.flush();
    let unfinished = living.folder().join("unfinished");
    let workplace = std::fs::read_dir(&unfinished).expect("a folder").flatten().next().expect("one").path();
    std::fs::write(workplace.join("half"), b"half").expect("written");
    let dead = unfinished.join("1-1");
    std::fs::create_dir_all(&dead).expect("made");
    for name in ["lock", "0", "1"] {
        std::fs::write(dead.join(name), b"half").expect("written");
    }
    let begun = unfinished.join("2-2");
    std::fs::create_dir_all(&begun).expect("made");
    let other = open(options(folder.path()));
    assert!(!dead.exists() && workplace.join("half").exists(), "the living has its lock");
    assert!(!begun.exists(), "a process that is about to take its lock makes it again");
    // Even when its place was taken away, the living goes on.
    std::fs::remove_dir_all(&unfinished).expect("removed");
    assert!(put(&living, 2));
    living.flush();
    assert!(get(&other, 2).is_some());
    drop((living, other));
    assert_eq!(std::fs::read_dir(&unfinished).expect("a folder").count(), 0);
}

#[test]
fn many_writers_and_readers_at_once_see_whole_entries_or_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let work = |seed: u8| {
        let store = open(StoreOptions { most_bytes: Some(20 * FILE), ..options(folder.path()) });
        for step in 0..120u8 {
            let number = step.wrapping_mul(7).wrapping_add(seed) % 40;
            put(&store, number);
            if let Some(found) = get(&store, step % 40) {
                assert_eq!(found, vec![step % 40; PAYLOAD]);
            }
            if step % 30 == 29 {
                store.flush();
                // Three writers look again after a sixteenth each, and free an eighth.
                assert!(bytes(&store) <= 22 * FILE, "{}", bytes(&store) / FILE);
            }
        }
    };
    std::thread::scope(|scope| {
        for seed in [0, 3, 11] {
            scope.spawn(move || work(seed));
        }
    });
}

#[test]
fn large_files_are_known_again_without_being_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = folder.path().join("film");
    let file = std::fs::File::create(&film).expect("a file");
    file.set_len(65 << 20).expect("a long file");
    let store = open(options(folder.path()));
    let digest = store.content_digest(&film).expect("a digest");
    assert_eq!(digest, content_digest(&film).expect("a digest"));
    store.flush();
    let kept: Vec<_> = store.files();
    assert_eq!((kept.len(), kept[0].kind, kept[0].bytes), (1, EntryKind::Digest, HEADER as u64 + 32));
    assert_eq!(store.content_digest(&film).expect("a digest"), digest);
    std::thread::sleep(Duration::from_millis(20));
    std::fs::File::options().write(true).open(&film).and_then(|mut film| film.write_all(b"x")).expect("changed");
    assert_ne!(store.content_digest(&film).expect("a digest"), digest);
    let small = folder.path().join("small");
    std::fs::write(&small, b"small").expect("written");
    let before = store.files().len();
    store.content_digest(&small).expect("a digest");
    store.flush();
    assert!(store.files().len() <= before + 1);
    assert!(store.content_digest(folder.path()).is_err());
}
