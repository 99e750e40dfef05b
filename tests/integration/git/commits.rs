//! What a commit holds, whatever server it goes to.

use std::collections::BTreeMap;

use qonnect_git::{CommitDraft, Depth, Error, Limits, Mirror};
use qonnect_schema::tree::Entry;

use super::contract::{commit, files, published};
use super::servers::{self, PATIENCE, Server, git};

fn names(mirror: &Mirror, commit: &str) -> Vec<String> {
    mirror.tree(commit, "", &Limits::default()).unwrap().into_keys().collect()
}

/// A commit on `base` that writes and deletes.
fn change(mirror: &Mirror, base: &str, written: &[&str], deleted: &[&str]) -> Result<String, Error> {
    let mut changes: BTreeMap<_, _> =
        written.iter().map(|p| ((*p).into(), Some(p.as_bytes().into()))).collect();
    changes.extend(deleted.iter().map(|path| ((*path).to_owned(), None)));
    let draft = CommitDraft {
        base: Some(base.into()),
        files: changes,
        message: "change".into(),
        ..CommitDraft::default()
    };
    mirror.write_commit(&draft)
}

fn start(server: &Server, paths: &[&str]) -> (Mirror, String) {
    let mirror = server.mirror();
    let files = paths.iter().map(|path| ((*path).to_owned(), Some(path.as_bytes().into()))).collect();
    let commit = mirror.write_commit(&CommitDraft { files, ..CommitDraft::default() }).unwrap();
    (mirror, commit)
}

#[test]
fn the_same_draft_has_the_id_that_git_gives_it() {
    let server = servers::local();
    let draft = CommitDraft {
        base: None,
        like: None,
        files: files(&[("a/b.yaml", "b\n"), ("a.yaml", "a\n")]),
        message: "subject\n\nQonnect-Epoch: 1.2.3\n".into(),
        time_secs: 1_800_000_000,
    };
    let ids = [(); 2].map(|()| server.mirror().write_commit(&draft).unwrap());
    let work = qonnect_tests::folder::fresh("git-work");
    git(&work, &["init", "--quiet"]);
    std::fs::create_dir(work.join("a")).unwrap();
    std::fs::write(work.join("a/b.yaml"), "b\n").unwrap();
    std::fs::write(work.join("a.yaml"), "a\n").unwrap();
    git(&work, &["add", "."]);
    let tree = git(&work, &["write-tree"]);
    std::fs::write(
        work.join("commit"),
        format!(
            "tree {tree}\nauthor QONNECT <qonnect@localhost> 1800000000 +0000\n\
             committer QONNECT <qonnect@localhost> 1800000000 +0000\n\n{}",
            draft.message
        ),
    )
    .unwrap();
    let by_git = git(&work, &["hash-object", "-t", "commit", "commit"]);
    assert_eq!(ids, [by_git.clone(), by_git]);
}

#[test]
fn what_a_draft_does_not_name_stays() {
    let server = servers::local();
    let (mirror, base) = start(&server, &["a/1", "a/2", "a-b", "c/d/e"]);
    let next = change(&mirror, &base, &["a/3", "f/g"], &["a/1"]).unwrap();
    assert_eq!(names(&mirror, &next), ["a-b", "a/2", "a/3", "c/d/e", "f/g"]);
    assert_eq!(mirror.commit(&next).unwrap().parents, [base]);
}

#[test]
fn empty_folders_vanish() {
    let server = servers::local();
    let (mut mirror, base) = start(&server, &["a/b/c/1", "d"]);
    let next = change(&mirror, &base, &[], &["a/b/c/1"]).unwrap();
    published(&mut mirror, &next, None);
    assert_eq!(server.git(&["ls-tree", "-r", "-t", "--name-only", "deploy"]), "d");
}

#[test]
fn everything_can_be_deleted() {
    let server = servers::local();
    let (mirror, base) = start(&server, &["a/b"]);
    let next = change(&mirror, &base, &[], &["a"]).unwrap();
    assert_eq!(names(&mirror, &next), Vec::<String>::new());
}

#[test]
fn a_file_becomes_a_folder_and_back() {
    let server = servers::local();
    let (mirror, base) = start(&server, &["a", "b"]);
    let folder = change(&mirror, &base, &["a/1"], &["a"]).unwrap();
    assert_eq!(names(&mirror, &folder), ["a/1", "b"]);
    let file = change(&mirror, &folder, &["a"], &["a/1"]).unwrap();
    assert_eq!(names(&mirror, &file), ["a", "b"]);
    assert!(matches!(change(&mirror, &base, &["c", "c/1"], &[]), Err(Error::Path { .. })));
}

#[test]
fn deleting_what_is_not_there_changes_nothing() {
    let server = servers::local();
    let (mirror, base) = start(&server, &["a", "b/c"]);
    let next = change(&mirror, &base, &[], &["a/x", "b/x", "x", "x/y"]).unwrap();
    assert_eq!(names(&mirror, &next), ["a", "b/c"]);
}

#[test]
fn no_path_leads_out_of_the_tree_or_into_git() {
    let server = servers::local();
    let (mirror, base) = start(&server, &["a"]);
    for path in ["../x", "/x", "x//y", "x/./y", ".git/config", "x/.GIT/y", "", "x/"] {
        assert!(matches!(change(&mirror, &base, &[path], &[]), Err(Error::Path { .. })), "{path}");
    }
}

#[test]
fn links_are_kept_as_links_and_never_followed() {
    let server = servers::local();
    let work = qonnect_tests::folder::fresh("git-links");
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    std::os::unix::fs::symlink("/etc/passwd", work.join("link")).unwrap();
    let submodule = "1234567812345678123456781234567812345678";
    git(&work, &["add", "."]);
    git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{submodule},sub")]);
    git(&work, &["commit", "--quiet", "--message=links"]);
    git(&work, &["push", "--quiet", &server.repository.display().to_string(), "main:deploy"]);
    let mut mirror = server.mirror();
    let tip = mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap().unwrap();
    let tree = mirror.tree(&tip, "", &Limits::default()).unwrap();
    let link = |bytes: &str| Entry::Link(bytes.as_bytes().into());
    assert_eq!(
        tree.into_iter().collect::<Vec<_>>(),
        [("link".into(), link("/etc/passwd")), ("sub".into(), link(submodule))]
    );
}

#[test]
fn limits_hold() {
    let server = servers::local();
    let (mirror, base) = start(&server, &["a/b/c", "d", "e"]);
    let next = commit(&mirror, Some(&base), "large", &"x".repeat(1000));
    let read = |limits: Limits| mirror.tree(&next, "", &limits);
    let all = Limits { files: 4, file_bytes: 1000, total_bytes: 1007, depth: 2 };
    assert_eq!(read(all.clone()).unwrap().len(), 4);
    for limits in [
        Limits { files: 3, ..all.clone() },
        Limits { total_bytes: 1006, ..all.clone() },
        Limits { depth: 1, ..all.clone() },
    ] {
        assert!(matches!(read(limits), Err(Error::Limit { .. })));
    }
    let small = read(Limits { file_bytes: 999, ..all }).unwrap();
    assert_eq!(small["large"], Entry::TooLarge(1000));
}

#[test]
fn a_damaged_clone_is_made_anew() {
    let server = servers::http();
    let mut writer = server.mirror();
    let first = commit(&writer, None, "a", "1");
    published(&mut writer, &first, None);
    let folder = qonnect_tests::folder::fresh("git-damaged").join("clone");
    let mut mirror = Mirror::open(&folder, server.remote.clone()).unwrap();
    mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap();
    drop(mirror);
    std::fs::write(folder.join("HEAD"), "rubbish").unwrap();
    for pack in std::fs::read_dir(folder.join("objects/pack")).unwrap() {
        let pack = pack.unwrap().path();
        std::fs::remove_file(&pack).unwrap();
        std::fs::write(pack, "rubbish").unwrap();
    }
    let mut mirror = Mirror::open(&folder, server.remote.clone()).unwrap();
    assert_eq!(mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap(), Some(first.clone()));
    assert_eq!(names(&mirror, &first), ["a"]);
}

#[test]
fn a_clone_that_lost_an_object_heals_at_the_next_fetch() {
    let server = servers::http();
    let mut mirror = server.mirror();
    let first = commit(&mirror, None, "a", "1");
    published(&mut mirror, &first, None);
    let folder = qonnect_tests::folder::fresh("git-lost").join("clone");
    let mut mirror = Mirror::open(&folder, server.remote.clone()).unwrap();
    let other = commit(&mirror, None, "a", "1");
    assert_eq!(other, first);
    let blob = server.git(&["rev-parse", "deploy:a"]);
    std::fs::remove_file(folder.join("objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    assert_eq!(mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap(), Some(first.clone()));
    assert!(mirror.tree(&first, "", &Limits::default()).unwrap_err().is_transient());
    mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap();
    assert_eq!(names(&mirror, &first), ["a"]);
}

#[test]
fn the_clone_of_another_remote_is_made_anew_and_a_folder_of_others_is_left_alone() {
    let (one, two) = (servers::local(), servers::local());
    let folder = qonnect_tests::folder::fresh("git-foreign");
    let clone = folder.join("clone");
    let mirror = Mirror::open(&clone, one.remote.clone()).unwrap();
    let first = commit(&mirror, None, "a", "1");
    drop(mirror);
    let mirror = Mirror::open(&clone, two.remote.clone()).unwrap();
    assert!(matches!(mirror.commit(&first), Err(Error::NoCommit { .. })));
    assert!(matches!(Mirror::open(&folder, two.remote.clone()), Err(Error::Occupied { .. })));
    assert!(clone.exists());
}
