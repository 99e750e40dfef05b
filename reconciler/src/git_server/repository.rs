//! Bare repositories on this disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tokio::process::Command;

/// Creates the bare repository `name`, whose first branch is `main`, and returns its folder.
pub async fn create(repositories: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = repositories.join(name);
    fs::create_dir_all(&folder)?;
    let mut git = Command::new("git");
    git.args(["init", "--quiet", "--bare", "--initial-branch=main", "--template="]).arg(&folder);
    let output = without_configuration(&mut git).output().await?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(folder)
}

/// Keeps the configuration of this machine and its users out of `git`, and what we were started with too.
pub(super) fn without_configuration(git: &mut Command) -> &mut Command {
    git.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        git.env("PATH", path);
    }
    git.env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("HOME", "/nonexistent")
}

/// Where every reference stands, as the files say: it is compared before and after a push.
pub(super) async fn tips(repository: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = repository.to_owned();
    let read = move || {
        let mut tips = BTreeMap::new();
        collect(&folder.join("refs"), &mut tips);
        collect(&folder.join("packed-refs"), &mut tips);
        tips
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

fn collect(path: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    if let Ok(bytes) = fs::read(path) {
        into.insert(path.to_owned(), bytes);
    } else if let Ok(entries) = fs::read_dir(path) {
        entries.flatten().for_each(|entry| collect(&entry.path(), into));
    }
}
