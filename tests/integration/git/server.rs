//! The server of the demo and the tests, met by the ordinary git.

use std::sync::mpsc;
use std::time::Duration;

use qonnect::git_server::{self, GitServer};
use qonnect_tests::folder;

use super::servers::git;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_git_clones_and_pushes_and_a_push_that_moved_a_branch_is_told() {
    let root = folder::fresh("git-server");
    let repositories = root.join("repositories");
    git_server::create(&repositories, "fleet.git").await.unwrap();
    let (tell, told) = mpsc::channel();
    let tell = move |repository: &str| tell.send(repository.to_owned()).unwrap();
    let server = GitServer::start(&repositories, "127.0.0.1:0".parse().unwrap(), tell).await.unwrap();
    let url = server.url("fleet.git");
    tokio::task::spawn_blocking(move || {
        let work = root.join("work");
        git(&root, &["clone", "--quiet", &url, "work"]);
        for number in 0..60 {
            std::fs::write(work.join("file"), number.to_string()).unwrap();
            git(&work, &["add", "."]);
            git(&work, &["commit", "--quiet", "--message=more"]);
        }
        git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "fleet.git");
        git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
        git(&work, &["push", "--quiet", "origin", "HEAD:other"]);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "fleet.git");
        assert!(told.try_recv().is_err(), "a push that moved nothing was told");
        // With many commits in common the request is large, and git sends it compressed.
        std::fs::write(work.join("file"), "last").unwrap();
        git(&work, &["commit", "--quiet", "--all", "--message=last"]);
        git(&work, &["push", "--quiet", "origin", "HEAD:main"]);
        git(&work, &["reset", "--quiet", "--hard", "HEAD~1"]);
        git(&work, &["-c", "protocol.version=0", "fetch", "--quiet", "origin", "main"]);
        assert_eq!(git(&work, &["show", "FETCH_HEAD:file"]), "last");
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn it_serves_repositories_and_nothing_else() {
    let root = folder::fresh("git-server");
    git_server::create(&root, "fleet.git").await.unwrap();
    let server = GitServer::start(&root, "127.0.0.1:0".parse().unwrap(), |_: &str| {}).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["fleet.git/HEAD", "fleet.git/objects/info/packs", "absent.git/info/refs", "x/.git/info/refs"]
    {
        let url = server.url(path);
        let status = client.get(&url).send().await.unwrap().status();
        assert_eq!(status, 404, "{url}");
    }
}

#[tokio::test]
async fn it_refuses_to_listen_beyond_loopback() {
    let root = folder::fresh("git-server");
    let refused = GitServer::start(&root, "0.0.0.0:0".parse().unwrap(), |_: &str| {}).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("loopback")));
}
