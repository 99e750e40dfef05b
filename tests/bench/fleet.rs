//! Fleets of any size, grown from the example repository.

use std::collections::BTreeMap;
use std::path::Path;

use qonnect_schema::tree::{Entry, Tree};
use qonnect_tests::folder::repository;

/// The files of a spec branch, by path.
pub(crate) type Files = BTreeMap<String, String>;

/// So many clusters in the example's nine profiles, and Bookinfo so many times.
pub(crate) fn grown(clusters: usize, bookinfos: usize) -> Files {
    let example = read(&repository().join("example-repo"));
    let mut files = Files::new();
    files.insert("fleet.yaml".into(), example["fleet.yaml"].clone());
    let profiles: Vec<_> = example.iter().filter(|(path, _)| path.starts_with("clusters/")).collect();
    for number in 0..clusters {
        let (path, text) = profiles[number % profiles.len()];
        let name = path.trim_start_matches("clusters/").trim_end_matches(".yaml");
        let own = format!("{name}-{}", number / profiles.len());
        files.insert(format!("clusters/{own}.yaml"), text.replace(name, &own));
    }
    for number in 0..bookinfos {
        for (path, text) in example.iter().filter(|(path, _)| path.starts_with("apps/bookinfo/")) {
            let path = path.replace("apps/bookinfo", &format!("apps/bookinfo-{number}"));
            let mut text = text.replace("name: bookinfo}", &format!("name: bookinfo-{number}}}"));
            // A node port can be had once in a fleet; these begin beyond those that are replaced.
            for port in 1..=3 {
                text = text.replace(&format!("3008{port}"), &(30090 + number * 3 + port).to_string());
            }
            files.insert(path, text);
        }
    }
    files
}

pub(crate) fn tree(files: &Files) -> Tree {
    files.iter().map(|(path, text)| (path.clone(), Entry::file(text))).collect()
}

fn read(root: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the example is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("it lies below").display().to_string();
                files.insert(name, std::fs::read_to_string(path).expect("the example is text"));
            }
        }
    }
    files
}
