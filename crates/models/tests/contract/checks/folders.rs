//! A family is one folder, a row of the list and a toy.

use std::collections::BTreeSet;

use zoetrope_models::families;

use crate::toys::manifest_folder;

#[test]
fn every_folder_is_a_family_of_the_list() {
    let folder = manifest_folder().join("src/families");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let folders: BTreeSet<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let listed: BTreeSet<String> = families::ALL.iter().map(|family| family.name.to_string()).collect();
    assert_eq!(listed, folders, "families::ALL (left) and the folders of src/families (right)");
    assert_eq!(listed.len(), families::ALL.len(), "a family is listed twice");
}

#[test]
fn each_toy_is_of_its_own_family_alone() {
    for toy in crate::test_family::all() {
        let config = toy.checkpoint.config().unwrap();
        for family in crate::test_family::all() {
            let claims = (family.family.matches)(&config);
            assert_eq!(claims, family.name() == toy.name(), "{} about the toy of {}", family.name(), toy.name());
        }
        assert_eq!(toy.processor.info().family, toy.name());
    }
}
