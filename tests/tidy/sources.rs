//! The files of the repository, as the other modules look at them.

use std::process::Command;

use qonnect_tests::folder::repository;
use qonnect_tests::process::run_command;

/// A text file: its path from the root, and what it says.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The lines that are code of the program: numbered from one, without comments and without the tests that
    /// stand at the end of a file.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines
            .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// All files that git tracks or would track, and that are text.
pub(crate) fn all() -> Vec<Source> {
    let mut git = Command::new("git");
    git.current_dir(repository()).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let listing = run_command(git);
    let paths = listing.split('\0').filter(|path| !path.is_empty());
    // A link is looked at where it leads; a file that is deleted but not yet committed is gone.
    let file =
        |path: &&str| repository().join(path).symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    let read = |path| {
        let bytes = std::fs::read(repository().join(path)).expect("a file of the repository can be read");
        Some(Source { path: String::from(path), text: String::from_utf8(bytes).ok()? })
    };
    paths.filter(file).filter_map(read).collect()
}

/// Those with this ending whose path starts with one of the folders; any path, if there are none.
pub(crate) fn with(ending: &str, folders: &[&str]) -> Vec<Source> {
    let wanted = |source: &Source| {
        let path = &source.path;
        path.ends_with(ending)
            && (folders.is_empty() || folders.iter().any(|folder| path.starts_with(folder)))
    };
    let found: Vec<_> = all().into_iter().filter(wanted).collect();
    assert!(!found.is_empty(), "no {ending} in {folders:?}: this test would look at nothing");
    found
}

/// Fails with all findings at once.
pub(crate) fn none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
