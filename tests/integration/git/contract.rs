//! What holds on every server alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_git::{CommitDraft, Depth, Error, Limits, Mirror, Push};

use super::servers::{self, PATIENCE, Server, git};

macro_rules! on_every_server {
    ($($test:ident),+ $(,)?) => {
        on_every_server!(@ http $($test)+);
        on_every_server!(@ ssh $($test)+);
        on_every_server!(@ daemon $($test)+);
        on_every_server!(@ https $($test)+);
        on_every_server!(@ local $($test)+);
    };
    (@ $server:ident $($test:ident)+) => {
        mod $server {
            $(#[test] fn $test() { super::$test(&super::servers::$server()) })+
        }
    };
}

on_every_server! {
    an_absent_branch_is_none,
    a_branch_is_created_only_where_none_is,
    what_was_published_is_fetched_whole,
    a_lost_race_says_where_the_branch_stands,
    writers_that_race_lose_no_commit,
    a_branch_that_was_rolled_back_is_not_published_upon,
    a_branch_that_was_deleted_is_gone_here_too,
    publishing_once_more_is_published,
    a_branch_is_swapped_for_what_does_not_descend_from_it,
    a_branch_is_removed_only_where_it_was_seen,
    a_hook_that_refuses_is_heard,
    a_large_tree_survives,
    a_huge_file_arrives_whole_and_is_read_by_nobody_who_does_not_want_it,
    the_tip_alone_can_be_fetched,
    a_known_commit_is_fetched_without_asking,
    ordinary_git_reads_what_we_wrote,
}

pub(super) fn files(files: &[(&str, &str)]) -> BTreeMap<String, Option<Arc<[u8]>>> {
    files.iter().map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().into()))).collect()
}

/// A commit of one file.
pub(super) fn commit(mirror: &Mirror, base: Option<&str>, path: &str, text: &str) -> String {
    let draft = CommitDraft {
        base: base.map(str::to_owned),
        like: None,
        files: files(&[(path, text)]),
        message: format!("write {path}\n"),
        time_secs: 1_800_000_000,
    };
    mirror.write_commit(&draft).unwrap()
}

pub(super) fn published(mirror: &mut Mirror, commit: &str, expected: Option<&str>) {
    assert_eq!(mirror.publish("deploy", commit, expected, PATIENCE).unwrap(), Push::Published);
}

pub(super) fn tip(mirror: &mut Mirror) -> Option<String> {
    mirror.fetch("deploy", Depth::Full, PATIENCE).unwrap()
}

fn a_branch_is_swapped_for_what_does_not_descend_from_it(server: &Server) {
    let (mut mirror, mut other) = (server.mirror(), server.mirror());
    let base = commit(&mirror, None, "a", "1");
    published(&mut mirror, &base, None);
    let ours = commit(&mirror, Some(&base), "a", "2");
    published(&mut mirror, &ours, Some(&base));
    let begun =
        CommitDraft { like: Some(base.clone()), message: "begin again".into(), ..CommitDraft::default() };
    let anew = mirror.write_commit(&begun).unwrap();
    let refused = mirror.publish("deploy", &anew, Some(&ours), PATIENCE);
    assert!(matches!(refused, Err(Error::NotDescendant { .. })), "{refused:?}");
    assert_eq!(mirror.swap("deploy", Some(&anew), Some(&ours), PATIENCE).unwrap(), Push::Published);
    assert_eq!(tip(&mut other), Some(anew.clone()));
    assert_eq!(other.commit(&anew).unwrap().tree, mirror.commit(&base).unwrap().tree, "the same files");
    // It stands elsewhere by now.
    let late = mirror.swap("deploy", Some(&base), Some(&ours), PATIENCE).unwrap();
    assert_eq!(late, Push::Lost { tip: Some(anew.clone()) });
    assert_eq!(tip(&mut other), Some(anew));
}

fn a_branch_is_removed_only_where_it_was_seen(server: &Server) {
    let (mut mirror, mut other) = (server.mirror(), server.mirror());
    let first = commit(&mirror, None, "a", "1");
    published(&mut mirror, &first, None);
    assert_eq!(tip(&mut other), Some(first.clone()));
    let second = commit(&mirror, Some(&first), "a", "2");
    published(&mut mirror, &second, Some(&first));
    let late = other.swap("deploy", None, Some(&first), PATIENCE).unwrap();
    assert_eq!(late, Push::Lost { tip: Some(second.clone()) });
    assert_eq!(mirror.swap("deploy", None, Some(&second), PATIENCE).unwrap(), Push::Published);
    assert_eq!(tip(&mut other), None);
    assert_eq!(tip(&mut mirror), None);
}

fn an_absent_branch_is_none(server: &Server) {
    let mut mirror = server.mirror();
    assert_eq!(tip(&mut mirror), None);
    let commit = commit(&mirror, None, "a", "1");
    published(&mut mirror, &commit, None);
    assert_eq!(mirror.fetch("elsewhere", Depth::Full, PATIENCE).unwrap(), None);
}

fn a_branch_is_created_only_where_none_is(server: &Server) {
    let (mut first, mut second) = (server.mirror(), server.mirror());
    let ours = commit(&first, None, "a", "1");
    published(&mut first, &ours, None);
    let theirs = commit(&second, None, "a", "2");
    let push = second.publish("deploy", &theirs, None, PATIENCE).unwrap();
    assert_eq!(push, Push::Lost { tip: Some(ours.clone()) });
    assert_eq!(tip(&mut second), Some(ours));
}

fn what_was_published_is_fetched_whole(server: &Server) {
    let (mut writer, mut reader) = (server.mirror(), server.mirror());
    let first = commit(&writer, None, "clusters/a/x.yaml", "x: 1");
    published(&mut writer, &first, None);
    assert_eq!(tip(&mut reader), Some(first.clone()));
    let second = commit(&writer, Some(&first), "clusters/a/deep/er/y.yaml", "y: 1");
    published(&mut writer, &second, Some(&first));
    assert_eq!(tip(&mut reader), Some(second.clone()));
    let tree = reader.tree(&second, "clusters/a", &Limits::default()).unwrap();
    let read: Vec<_> = tree.iter().map(|(path, entry)| (path.as_str(), entry.bytes().unwrap())).collect();
    assert_eq!(read, [("deep/er/y.yaml", &b"y: 1"[..]), ("x.yaml", b"x: 1")]);
    assert_eq!(reader.commit(&second).unwrap().parents, std::slice::from_ref(&first));
    assert!(reader.descends(&second, &first).unwrap() && !reader.descends(&first, &second).unwrap());
}

fn a_lost_race_says_where_the_branch_stands(server: &Server) {
    let (mut first, mut second) = (server.mirror(), server.mirror());
    let base = commit(&first, None, "a", "0");
    published(&mut first, &base, None);
    assert_eq!(tip(&mut second), Some(base.clone()));
    let winner = commit(&first, Some(&base), "a", "1");
    let loser = commit(&second, Some(&base), "a", "2");
    published(&mut first, &winner, Some(&base));
    let push = second.publish("deploy", &loser, Some(&base), PATIENCE).unwrap();
    assert_eq!(push, Push::Lost { tip: Some(winner.clone()) });
    assert_eq!(tip(&mut first), Some(winner));
}

fn writers_that_race_lose_no_commit(server: &Server) {
    const WRITERS: usize = 2;
    const COMMITS: usize = 4;
    let mut mirror = server.mirror();
    let base = commit(&mirror, None, "base", "0");
    published(&mut mirror, &base, None);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let mut mirror = server.mirror();
            scope.spawn(move || {
                for number in 0..COMMITS {
                    loop {
                        let base = tip(&mut mirror).unwrap();
                        let path = format!("{writer}/{number}");
                        let next = commit(&mirror, Some(&base), &path, "");
                        match mirror.publish("deploy", &next, Some(&base), PATIENCE).unwrap() {
                            Push::Published => break,
                            // The lock of a reference may be held while the branch has not moved yet.
                            Push::Lost { .. } | Push::Refused(_) => {}
                            Push::Unknown(why) => panic!("{why}"),
                        }
                    }
                }
            });
        }
    });
    let last = tip(&mut mirror).unwrap();
    let tree = mirror.tree(&last, "", &Limits::default()).unwrap();
    assert_eq!(tree.len(), WRITERS * COMMITS + 1);
    assert_eq!(server.git(&["rev-list", "--count", "deploy"]), (WRITERS * COMMITS + 1).to_string());
}

fn a_branch_that_was_rolled_back_is_not_published_upon(server: &Server) {
    let mut mirror = server.mirror();
    let first = commit(&mirror, None, "a", "1");
    published(&mut mirror, &first, None);
    let second = commit(&mirror, Some(&first), "a", "2");
    published(&mut mirror, &second, Some(&first));
    server.git(&["update-ref", "refs/heads/deploy", &first]);
    let third = commit(&mirror, Some(&second), "a", "3");
    let push = mirror.publish("deploy", &third, Some(&second), PATIENCE).unwrap();
    assert_eq!(push, Push::Lost { tip: Some(first.clone()) });
    assert_eq!(server.git(&["rev-parse", "deploy"]), first);
}

fn a_branch_that_was_deleted_is_gone_here_too(server: &Server) {
    let mut mirror = server.mirror();
    let first = commit(&mirror, None, "a", "1");
    published(&mut mirror, &first, None);
    server.git(&["update-ref", "-d", "refs/heads/deploy"]);
    let second = commit(&mirror, Some(&first), "a", "2");
    let push = mirror.publish("deploy", &second, Some(&first), PATIENCE).unwrap();
    assert_eq!(push, Push::Lost { tip: None });
    assert_eq!(tip(&mut mirror), None);
    published(&mut mirror, &second, None);
    assert_eq!(server.git(&["rev-parse", "deploy"]), second);
}

fn publishing_once_more_is_published(server: &Server) {
    let mut mirror = server.mirror();
    let first = commit(&mirror, None, "a", "1");
    published(&mut mirror, &first, None);
    let second = commit(&mirror, Some(&first), "a", "2");
    published(&mut mirror, &second, Some(&first));
    published(&mut mirror, &second, Some(&first));
}

fn a_hook_that_refuses_is_heard(server: &Server) {
    if !server.runs_hooks {
        // Opened directly, a repository runs no hooks: nothing to hold there.
        return;
    }
    for hook in ["pre-receive", "update"] {
        let branch = format!("under-{hook}");
        let mut mirror = server.mirror();
        server.hook(hook, "echo 'no changes on a Friday' >&2; exit 1");
        let first = commit(&mirror, None, "a", hook);
        match mirror.publish(&branch, &first, None, PATIENCE).unwrap() {
            Push::Refused(why) => assert!(why.contains("no changes on a Friday"), "{why}"),
            other => panic!("{hook}: {other:?}"),
        }
        server.hook(hook, "exit 0");
        assert_eq!(mirror.publish(&branch, &first, None, PATIENCE).unwrap(), Push::Published);
    }
}

fn a_large_tree_survives(server: &Server) {
    let (mut writer, mut reader) = (server.mirror(), server.mirror());
    let many = (0..600).map(|n| {
        let text = format!("kind: ConfigMap\nnumber: {n}\n");
        (format!("clusters/{}/{n}.yaml", n % 50), Some(text.into_bytes().into()))
    });
    let draft = CommitDraft { files: many.collect(), message: "many".into(), ..CommitDraft::default() };
    let first = writer.write_commit(&draft).unwrap();
    published(&mut writer, &first, None);
    assert_eq!(tip(&mut reader), Some(first.clone()));
    let tree = reader.tree(&first, "clusters", &Limits::default()).unwrap();
    assert_eq!(tree.len(), 600);
    assert_eq!(tree["7/557.yaml"].bytes(), Some(&b"kind: ConfigMap\nnumber: 557\n"[..]));
}

fn the_tip_alone_can_be_fetched(server: &Server) {
    let (mut writer, mut reader) = (server.mirror(), server.mirror());
    let mut tips = Vec::<String>::new();
    for number in 0..5 {
        let base = tips.last().cloned();
        let next = commit(&writer, base.as_deref(), &format!("{number}"), "");
        published(&mut writer, &next, base.as_deref());
        if number % 2 == 0 {
            let fetched = reader.fetch("deploy", Depth::Shallow, PATIENCE).unwrap();
            assert_eq!(fetched.as_ref(), Some(&next));
            assert_eq!(reader.tree(&next, "", &Limits::default()).unwrap().len(), number + 1);
        }
        tips.push(next);
    }
    if server.runs_hooks {
        assert!(matches!(reader.commit(&tips[3]), Err(Error::NoCommit { .. })));
    }
    assert_eq!(reader.fetch("deploy", Depth::Full, PATIENCE).unwrap().as_ref(), tips.last());
    assert!(reader.descends(&tips[4], &tips[0]).unwrap());
}

fn a_known_commit_is_fetched_without_asking(server: &Server) {
    let (mut writer, mut reader) = (server.mirror(), server.mirror());
    let first = commit(&writer, None, "a", "1");
    published(&mut writer, &first, None);
    let fetched = reader.fetch_commit("deploy", &first, Depth::Shallow, PATIENCE).unwrap();
    assert_eq!(fetched, Some(first.clone()));
    let second = commit(&writer, Some(&first), "a", "2");
    published(&mut writer, &second, Some(&first));
    let unheard = "1234567812345678123456781234567812345678";
    let fetched = reader.fetch_commit("deploy", unheard, Depth::Shallow, PATIENCE).unwrap();
    assert_eq!(fetched, Some(second));
}

fn ordinary_git_reads_what_we_wrote(server: &Server) {
    let mut mirror = server.mirror();
    let first = commit(&mirror, None, "clusters/a/x.yaml", "x: 1\n");
    published(&mut mirror, &first, None);
    git(&server.repository, &["fsck", "--strict", "--no-dangling"]);
    assert_eq!(server.git(&["show", "deploy:clusters/a/x.yaml"]), "x: 1");
    let author = server.git(&["log", "-1", "--format=%an <%ae> %ct", "deploy"]);
    assert_eq!(author, "QONNECT <qonnect@localhost> 1800000000");
}

/// More than one packet, one chunk of a web server and one buffer of anybody hold.
fn a_huge_file_arrives_whole_and_is_read_by_nobody_who_does_not_want_it(server: &Server) {
    let (mut writer, mut reader) = (server.mirror(), server.mirror());
    // Nothing that could be packed small.
    let mut dice = fastrand::Rng::with_seed(7);
    let bytes: Arc<[u8]> = std::iter::repeat_with(|| dice.u8(..)).take(24 << 20).collect();
    let files = BTreeMap::from([("huge/blob".to_owned(), Some(bytes.clone()))]);
    let draft = CommitDraft { files, message: "huge".into(), ..CommitDraft::default() };
    let first = writer.write_commit(&draft).unwrap();
    published(&mut writer, &first, None);
    assert_eq!(tip(&mut reader), Some(first.clone()));
    let limited = reader.tree(&first, "huge", &Limits::default()).unwrap();
    assert_eq!(limited["blob"].bytes(), None, "it is named, not read");
    let all = Limits { file_bytes: 32 << 20, total_bytes: 32 << 20, ..Limits::default() };
    assert_eq!(reader.tree(&first, "huge", &all).unwrap()["blob"].bytes(), Some(&*bytes));
}
