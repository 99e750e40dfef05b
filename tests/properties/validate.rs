//! Whatever is pushed, checking it ends with findings that stand where they say.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use qonnect_schema::diagnostic::{self, Severity};
use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::validate;
use qonnect_tests::folder::repository;

/// The example repository, as it is copied.
fn example() -> BTreeMap<String, Vec<u8>> {
    let root = repository().join("example-repo");
    let tree = qonnect::files::tree(&root).expect("the example can be read");
    tree.into_iter().filter_map(|(path, entry)| Some((path, entry.bytes()?.to_vec()))).collect()
}

#[derive(Debug, Clone)]
struct Damage {
    file: prop::sample::Index,
    at: prop::sample::Index,
    remove: usize,
    insert: Vec<u8>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let insert = prop_oneof![
        proptest::sample::select(vec![
            "{", "[", "\n", " ", ":", "- ", "*a", "&a ", "${", "\t", "---\n", "null", "!x ", "ä"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..20usize, insert)
        .prop_map(|(file, at, remove, insert)| Damage { file, at, remove, insert })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_repository_is_judged_precisely(damages in proptest::collection::vec(damage(), 1..4)) {
        let mut files = example();
        for damage in damages {
            let path = damage.file.get(&files.keys().cloned().collect::<Vec<_>>()).clone();
            let bytes = files.get_mut(&path).unwrap();
            let at = damage.at.index(bytes.len() + 1);
            let end = (at + damage.remove).min(bytes.len());
            bytes.splice(at..end, damage.insert);
        }
        let tree: Tree = files.iter().map(|(path, bytes)| (path.clone(), Entry::file(bytes))).collect();
        let checked = validate::repository(&tree, "", Timestamp::UNIX_EPOCH);
        prop_assert_eq!(&checked, &validate::repository(&tree, "", Timestamp::UNIX_EPOCH));
        for finding in &checked.findings {
            let length = files.get(&finding.file).map_or(0, Vec::len);
            if let Some(place) = finding.place {
                prop_assert!(place.start <= place.end && place.end as usize <= length, "{:?}", finding);
            }
            if finding.severity == Severity::Error {
                let held = finding.application.as_ref().map_or(checked.refused, |name| checked.faulty.contains(name));
                prop_assert!(held, "{:?}", finding);
            }
        }
        let kept = checked.revision.applications.contains_key("bookinfo");
        prop_assert!(kept != checked.faulty.contains("bookinfo"), "an application neither vanishes nor stays by halves");
        prop_assert_eq!(diagnostic::github(&checked.findings).lines().count(), checked.findings.len());
        diagnostic::text(&checked.findings, &tree, false);
    }
}
