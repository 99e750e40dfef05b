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

impl Damage {
    fn strike(self, bytes: &mut Vec<u8>) {
        let at = self.at.index(bytes.len() + 1);
        let end = (at + self.remove).min(bytes.len());
        bytes.splice(at..end, self.insert);
    }
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
            damage.strike(files.get_mut(&path).unwrap());
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
    #[test]
    fn what_was_checked_before_changes_nothing(steps in proptest::collection::vec(step(), 1..6)) {
        let mut files = two_applications();
        let mut checker = validate::Checker::default();
        let mut history = Vec::new();
        for step in steps {
            history.push(files.clone());
            step.take(&mut files, &history);
            let tree: Tree = files.iter().map(|(path, bytes)| (path.clone(), Entry::file(bytes))).collect();
            let commit = history.len().to_string();
            let afresh = validate::repository(&tree, &commit, Timestamp::UNIX_EPOCH);
            prop_assert_eq!(checker.check(&tree, &commit, Timestamp::UNIX_EPOCH), afresh);
        }
    }
}

/// What a commit does to a repository.
#[derive(Debug, Clone)]
enum Step {
    Damage(Damage),
    Remove(prop::sample::Index),
    Rename(prop::sample::Index),
    Revert(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => damage().prop_map(Step::Damage),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
        1 => any::<prop::sample::Index>().prop_map(Step::Rename),
        2 => any::<prop::sample::Index>().prop_map(Step::Revert),
    ]
}

impl Step {
    fn take(self, files: &mut BTreeMap<String, Vec<u8>>, history: &[BTreeMap<String, Vec<u8>>]) {
        let one = |at: prop::sample::Index| at.get(&files.keys().cloned().collect::<Vec<_>>()).clone();
        match self {
            Self::Damage(damage) => {
                let path = one(damage.file);
                damage.strike(files.get_mut(&path).expect("it was listed"));
            }
            Self::Remove(at) => drop(files.remove(&one(at))),
            Self::Rename(at) => {
                let path = one(at);
                let bytes = files.remove(&path).expect("it was listed");
                files.insert(path.replace("bookinfo", "other"), bytes);
            }
            Self::Revert(at) => *files = at.get(history).clone(),
        }
    }
}

/// The example, and its application a second time: node ports and objects clash, which is found across both.
fn two_applications() -> BTreeMap<String, Vec<u8>> {
    let mut files = example();
    let copies = files.iter().filter(|(path, _)| path.starts_with("apps/bookinfo/"));
    let copies = copies.map(|(path, bytes)| (path.replace("bookinfo", "second"), bytes.clone()));
    let copies: Vec<_> = copies.collect();
    files.extend(copies);
    files
}
