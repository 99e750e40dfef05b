//! The matrix of deletions: whatever is wrong with a release, at whatever moment it comes, nothing is deleted.

use qonnect_agent_core::release::verify;
use qonnect_agent_core::state::State;
use qonnect_schema::documents::release::Mark;
use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::{Epoch, layout};

use super::{CLUSTER, Server, Wanted, digest, folder};

/// The release that runs: 1 namespace, 14 objects.
fn running() -> Wanted {
    Wanted::of(&[("db", 2), ("web", 12)])
}

const GENERATION: u64 = 7;

/// Everything that a folder of the deploy branch could be, but a release that is in order and says what goes.
fn inputs() -> Vec<(String, Tree)> {
    let good = running().tree(GENERATION + 1);
    let mut inputs: Vec<(String, Tree)> = Vec::new();
    let mut add = |name: &str, tree: Tree| inputs.push((name.into(), tree));

    // Missing and truncated.
    add("an empty folder", Tree::new());
    let changed = |change: &dyn Fn(&mut Tree)| {
        let mut tree = good.clone();
        change(&mut tree);
        tree
    };
    add("no release.yaml", changed(&|tree| drop(tree.remove(layout::RELEASE))));
    add("only release.yaml", changed(&|tree| tree.retain(|path, _| path == layout::RELEASE)));
    add("a file is missing", changed(&|tree| drop(tree.remove("shop/web/web-3.yaml"))));
    add("a folder is missing", changed(&|tree| tree.retain(|path, _| !path.starts_with("shop/web/"))));
    add("a file too many", changed(&|tree| drop(tree.insert("shop/web/x.yaml".into(), Entry::file("a: 1")))));
    add("an empty file", changed(&|tree| drop(tree.insert("shop/web/web-3.yaml".into(), Entry::file("")))));
    add(
        "a link",
        changed(&|tree| {
            drop(tree.insert("shop/web/web-3.yaml".into(), Entry::Link(b"/etc".as_slice().into())))
        }),
    );
    add(
        "a huge file",
        changed(&|tree| drop(tree.insert("shop/web/web-3.yaml".into(), Entry::TooLarge(1 << 40)))),
    );
    let release = String::from_utf8(good[layout::RELEASE].bytes().unwrap().to_vec()).unwrap();
    for cut in (0..release.len()).step_by(3) {
        let part = Entry::file(&release[..cut]);
        add(
            &format!("release.yaml ends after {cut} bytes"),
            changed(&|tree| drop(tree.insert(layout::RELEASE.into(), part.clone()))),
        );
    }
    for garbage in [
        "\0\0\0\0",
        "[]",
        "{}",
        "- a\n- b\n",
        "a: &a [*a]\n",
        "<html>502 Bad Gateway</html>",
        "version https://git-lfs.github.com/spec/v1\n",
    ] {
        add(
            &format!("release.yaml is {garbage:?}"),
            changed(&|tree| drop(tree.insert(layout::RELEASE.into(), Entry::file(garbage)))),
        );
    }

    // Of somebody else, or of yesterday.
    add("another cluster's", folder(&running().files(), "edge", running().spec(GENERATION + 1)));
    for generation in 0..=GENERATION {
        add(&format!("generation {generation}, emptied"), Wanted::default().tree(generation));
    }
    let deposed = |wanted: &Wanted, term: u64| {
        let mut spec = wanted.spec(GENERATION + 1);
        spec.epoch = Epoch { era: 1, term, node: 9 };
        folder(&wanted.files(), CLUSTER, spec)
    };
    add("a deposed leader's, emptied", deposed(&Wanted::default(), 1));
    add(
        "a deposed leader's, with removals",
        deposed(&Wanted { removals: vec![("shop", "web")], ..Wanted::of(&[("db", 2)]) }, 1),
    );

    // In order, but it forgets to say what goes.
    add("emptied without removals", Wanted::default().tree(GENERATION + 1));
    add("a component less without a removal", Wanted::of(&[("db", 2)]).tree(GENERATION + 1));
    add(
        "a removal of something else",
        Wanted { removals: vec![("shop", "cache"), ("other", "web")], ..Wanted::of(&[("db", 2)]) }
            .tree(GENERATION + 1),
    );
    add("a component is emptied", Wanted::of(&[("db", 2), ("web", 1)]).tree(GENERATION + 1));
    add(
        "a removal of what is released",
        Wanted { removals: vec![("shop", "db"), ("shop", "web")], ..running() }.tree(GENERATION + 1),
    );
    let mut decommissioned = Wanted::default().spec(GENERATION + 1);
    decommissioned.decommissioned = true;
    add("decommissioned without removals", folder(&Wanted::default().files(), CLUSTER, decommissioned));

    // Files that belong nowhere, or twice.
    let mut files = running().files();
    files.insert("shop/web/again.yaml".into(), files["shop/db/db-0.yaml"].clone());
    let mut spec = running().spec(GENERATION + 1);
    spec.digest = digest(&files);
    add("an object twice", folder(&files, CLUSTER, spec.clone()));
    spec.digest = digest(&running().files());
    spec.order.clear();
    add("files that the order does not list", folder(&running().files(), CLUSTER, spec));
    inputs
}

/// The server as `running` left it, and the agent at three moments.
fn moments() -> Vec<(&'static str, Server, State, Mark)> {
    let release = verify(&running().tree(GENERATION), CLUSTER, &Mark::default(), &[]).unwrap();
    let mark = release.mark();
    let served = || {
        let mut server = Server::default();
        let mut state = State::default();
        state.adopt(release.clone());
        server.pass(&mut state, 0);
        assert!(state.is_complete() && server.objects.len() == 15);
        (server, state)
    };
    let (server, steady) = served();
    let restarted = server.boot(None);
    let (second, _) = served();
    let from_copy = second.boot(Some(release.clone()));
    let (third, _) = served();
    vec![
        (
            "start, the disk is lost and the cluster remembers",
            server,
            restarted,
            Mark::default().stricter(mark.clone()),
        ),
        ("steady", third, steady, mark.clone()),
        ("reconnect after a restart from the copy", second, from_copy, mark),
    ]
}

#[test]
fn no_bad_input_deletes_anything_at_any_moment() {
    let inputs = inputs();
    assert!(inputs.len() > 100);
    let mut refused = 0;
    for (name, tree) in &inputs {
        for (moment, mut server, mut state, mark) in moments() {
            match verify(tree, CLUSTER, &mark, &[]) {
                Ok(release) => {
                    state.adopt(release);
                    server.list(&mut state);
                }
                Err(_) => refused += 1,
            }
            for minute in [1, 2, 60] {
                server.pass(&mut state, minute * 60_000);
            }
            assert_eq!(server.deleted, Vec::<String>::new(), "{name}, {moment}");
            assert_eq!(server.objects.len(), 15, "{name}, {moment}");
        }
    }
    assert!(refused > 3 * 100, "the inputs are as bad as they are meant to be: {refused} refused");
}

/// The counterpart: without it the matrix would hold for an agent that never deletes.
#[test]
fn what_a_sound_release_removes_goes_at_every_moment() {
    let tree = Wanted { removals: vec![("shop", "web")], ..Wanted::of(&[("db", 2)]) }.tree(GENERATION + 1);
    for (moment, mut server, mut state, mark) in moments() {
        state.adopt(verify(&tree, CLUSTER, &mark, &[]).unwrap());
        server.list(&mut state);
        server.pass(&mut state, 60_000);
        assert_eq!(server.deleted.len(), 12, "{moment}");
        assert!(server.deleted.iter().all(|id| id.starts_with("ConfigMap shop/web-")), "{moment}");
    }
}
