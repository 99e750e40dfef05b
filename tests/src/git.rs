//! A Git server on loopback, and the ordinary `git` program as people use it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};

use qonnect::git_server::{self, GitServer};
use qonnect_schema::Epoch;
use tokio::sync::oneshot;

use crate::folder::{self, repository};
use crate::process::run_command;

/// Serves one empty repository over smart HTTP, on a thread of its own: pushes from a test block that test.
#[derive(Debug)]
pub struct GitHost {
    url: String,
    hook: Arc<Mutex<Option<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl GitHost {
    pub fn start(repositories: &Path) -> Self {
        let hook = Arc::new(Mutex::new(None));
        let (stop, stopped) = oneshot::channel();
        let (ready, url) = mpsc::channel();
        let (folder, called) = (repositories.to_owned(), hook.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
            runtime.block_on(async {
                let server = serve(&folder, called).await;
                ready.send(server.url("fleet.git")).ok();
                stopped.await.ok();
            });
        });
        let url = url.recv().expect("the git server starts");
        Self { url, hook, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where to tell of pushes from now on, as forges do by a webhook.
    pub fn tell(&self, url: &str) {
        *self.hook.lock().expect("nobody panics while setting it") = Some(url.into());
    }
}

impl Drop for GitHost {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn serve(repositories: &Path, hook: Arc<Mutex<Option<String>>>) -> GitServer {
    git_server::create(repositories, "fleet.git").await.expect("a repository can be made");
    let client = reqwest::Client::new();
    let on_push = move |_: &str| {
        if let Some(url) = hook.lock().expect("nobody panics while setting it").clone() {
            // A lead that is down looks for itself later.
            tokio::spawn(client.post(url).send());
        }
    };
    let loopback: SocketAddr = ([127, 0, 0, 1], 0).into();
    GitServer::start(repositories, loopback, on_push).await.expect("the git server starts")
}

/// A commit of the deploy branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    pub commit: String,
    pub parents: Vec<String>,
    /// Absent if no lead wrote it.
    pub epoch: Option<Epoch>,
}

/// An ordinary clone with a work tree, free of this machine's configuration.
#[derive(Debug, Clone)]
pub struct Checkout {
    folder: PathBuf,
}

impl Checkout {
    /// An empty work tree whose `origin` is this URL and whose branch is `main`.
    pub fn new(url: &str) -> Self {
        let checkout = Self { folder: folder::fresh("checkout") };
        checkout.git(&["init", "--quiet", "--initial-branch=main"]);
        checkout.git(&["remote", "add", "origin", url]);
        checkout
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Copies a folder of this repository into the root of the checkout, links as links.
    pub fn copy(&self, folder: &str) {
        let from = repository().join(folder).join(".");
        let mut copy = Command::new("cp");
        copy.arg("--recursive").arg("--no-dereference").arg(from).arg(&self.folder);
        run_command(copy);
    }

    pub fn read(&self, path: &str) -> String {
        let file = self.folder.join(path);
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let file = self.folder.join(path);
        std::fs::create_dir_all(file.parent().expect("a file lies in a folder"))
            .expect("a folder can be made");
        std::fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Replaces a text that stands there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} does not say `{from}`");
        self.write(path, text.replace(from, to));
    }

    /// A file or a folder.
    pub fn remove(&self, path: &str) {
        self.git(&["rm", "-r", "-f", "--quiet", "--ignore-unmatch", "--", path]);
    }

    /// Throws away what is not committed.
    pub fn reset(&self, commit: &str) {
        self.git(&["reset", "--quiet", "--hard", commit]);
        self.git(&["clean", "-f", "-d", "--quiet"]);
    }

    /// Commits everything and pushes it to `main`. Returns the commit.
    pub fn push(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["push", "--quiet", "origin", "main"]);
        self.git(&["rev-parse", "HEAD"]).trim().into()
    }

    /// The tip of a branch on the server.
    pub fn tip(&self, branch: &str) -> Option<String> {
        let listed = self.git(&["ls-remote", "origin", &format!("refs/heads/{branch}")]);
        listed.split_whitespace().next().map(String::from)
    }

    /// What the server's branch is called here, in one look: it may come and go.
    fn fetch(&self, branch: &str) -> Option<String> {
        self.git(&["fetch", "--quiet", "--prune", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
        let known = format!("refs/remotes/origin/{branch}");
        self.git(&["for-each-ref", "--format=%(refname)", &known])
            .lines()
            .find(|name| **name == known)
            .map(String::from)
    }

    /// The commits of a branch on the server, the first one first; none without the branch.
    pub fn history(&self, branch: &str) -> Vec<HistoryEntry> {
        let Some(tip) = self.fetch(branch) else { return Vec::new() };
        let format = "--format=%H|%P|%(trailers:key=Qonnect-Epoch,valueonly,separator=)";
        let log = self.git(&["log", "--reverse", "--topo-order", format, &tip]);
        let entry = |line: &str| {
            let mut fields = line.split('|');
            let mut next = || fields.next().expect("the format has three fields").to_owned();
            let (commit, parents) = (next(), next().split_whitespace().map(String::from).collect());
            HistoryEntry { commit, parents, epoch: next().parse().ok() }
        };
        log.lines().map(entry).collect()
    }

    /// Every file of a branch on the server, by path; none without the branch.
    pub fn files(&self, branch: &str) -> Vec<(String, String)> {
        let Some(tip) = self.fetch(branch) else { return Vec::new() };
        let paths = self.git(&["ls-tree", "-r", "-z", "--name-only", &tip]);
        let paths = paths.split('\0').filter(|path| !path.is_empty());
        paths.map(|path| (path.into(), self.git(&["show", &format!("{tip}:{path}")]))).collect()
    }

    /// Runs `git` in the checkout and returns what it prints.
    pub fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.current_dir(&self.folder).args(args);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        git.env("GIT_TERMINAL_PROMPT", "0");
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "A person")
                .env(format!("GIT_{role}_EMAIL"), "person@example.org");
        }
        run_command(git)
    }
}
