//! The Git side of the demo: a bare repository that is served, and a clone in which a person works.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use tokio::process::Command;

/// A clone in which the story edits, commits and pushes with the ordinary `git`.
#[derive(Debug)]
pub(super) struct Clone {
    folder: PathBuf,
}

/// A push that the server has accepted.
#[derive(Debug, Clone)]
pub(super) struct Push {
    pub(super) commit: String,
    /// Just before `git push` was started.
    pub(super) started: Instant,
}

impl Clone {
    pub(super) async fn of(url: &str, folder: &Path) -> anyhow::Result<Self> {
        let clone = Self { folder: folder.to_owned() };
        std::fs::create_dir_all(folder).context("cannot make the clone's folder")?;
        clone.git(&["init", "--quiet", "--initial-branch=main", "."]).await?;
        clone.git(&["remote", "add", "origin", url]).await?;
        Ok(clone)
    }

    /// Copies regular files of `example` that `wanted` names by their path from the root.
    pub(super) fn copy(&self, example: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        for (path, bytes) in read_folder(example)? {
            if wanted(&path) {
                self.write(&path, &bytes)?;
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, path: &str) -> anyhow::Result<String> {
        std::fs::read_to_string(self.folder.join(path)).with_context(|| format!("cannot read {path}"))
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let file = self.folder.join(path);
        let parent = file.parent().expect("a file in a folder has a parent");
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&file, bytes))
            .with_context(|| format!("cannot write {path}"))
    }

    pub(super) fn remove_file(&self, path: &str) -> anyhow::Result<()> {
        std::fs::remove_file(self.folder.join(path)).with_context(|| format!("cannot remove {path}"))
    }

    pub(super) fn remove_folder(&self, path: &str) -> anyhow::Result<()> {
        std::fs::remove_dir_all(self.folder.join(path)).with_context(|| format!("cannot remove {path}"))
    }

    pub(super) async fn push(&self, message: &str) -> anyhow::Result<Push> {
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--message", message]).await?;
        let commit = self.git(&["rev-parse", "HEAD"]).await?.trim().to_owned();
        let started = Instant::now();
        self.git(&["push", "--quiet", "origin", "main"]).await?;
        Ok(Push { commit, started })
    }

    /// Runs `git` untouched by the configuration of the machine and of the person.
    async fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("git")
            .args(["-c", "user.name=You", "-c", "user.email=you@localhost", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(&self.folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("http_proxy")
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run git; is it installed?")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            anyhow::bail!("git {} failed: {}", arguments.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Files of a folder by path, without `.git`.
fn read_folder(root: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| {
            format!("no example repository at {}; name it with --example DIR", folder.display())
        })?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && entry.file_name() != ".git" {
                folders.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path();
                let name = path.strip_prefix(root).expect("it was found below the root");
                files.insert(name.to_string_lossy().into_owned(), std::fs::read(&path)?);
            }
        }
    }
    Ok(files)
}
