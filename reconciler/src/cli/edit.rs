//! Small changes of a repository in a person's checkout: one field of a `spec`, one commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use qonnect_schema::yaml;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::validate::place;

/// Which checkout, and whether the commit is pushed.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Checkout {
    /// A checkout of the spec branch
    #[arg(long, value_name = "DIR", default_value = ".")]
    repository: PathBuf,
    /// Push the commit
    #[arg(long)]
    push: bool,
    /// Commit with this message
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

impl Checkout {
    pub(super) fn root(&self) -> anyhow::Result<PathBuf> {
        Ok(place(&self.repository)?.0)
    }

    pub(super) fn read<T: DeserializeOwned>(&self, file: &str) -> anyhow::Result<T> {
        let path = self.root()?.join(file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        yaml::from_str(&text).with_context(|| format!("{file} has a fault; `qonnect validate` says which"))
    }

    /// Sets fields of the `spec` of a file, or takes them out, and commits that. Gives what to tell the person.
    pub(super) fn change<T>(
        &self,
        file: &str,
        fields: &[(&str, Option<Value>)],
        about: &str,
    ) -> anyhow::Result<String>
    where
        T: DeserializeOwned + Serialize + PartialEq,
    {
        let path = self.root()?.join(file);
        let before =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut after = before.clone();
        for (field, value) in fields {
            after = set::<T>(&after, field, value.as_ref()).with_context(|| {
                format!("{file} cannot be changed by a program; change `{field}` by hand")
            })?;
        }
        if before == after {
            return Ok(format!("{file} says so already\n"));
        }
        // The commit takes the whole file: what a person has begun in it is not ours to commit.
        let begun = self.git(&["status", "--porcelain", "--", file])?;
        ensure!(
            begun.is_empty(),
            "{file} has changes that are not committed; commit them or put them away first"
        );
        let write = |text: &str| {
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        write(&after)?;
        let message = self.message.as_deref().unwrap_or(about);
        if let Err(error) = self.git(&["commit", "--quiet", "--message", message, "--", file]) {
            write(&before)?;
            return Err(error.context(format!("{file} is as it was")));
        }
        let commit = self.git(&["rev-parse", "--short", "HEAD"])?;
        if self.push {
            self.git(&["push", "--quiet"])?;
        }
        let then = if self.push { "pushed" } else { "not pushed yet" };
        Ok(format!("{message}: commit {}, {then}\n", commit.trim()))
    }

    fn git(&self, words: &[&str]) -> anyhow::Result<String> {
        git(&self.root()?, words)
    }
}

/// The person's own `git`, with all that is configured for it.
pub(super) fn git(folder: &Path, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(words).current_dir(folder).output();
    let output = output.context("cannot run git; is it installed?")?;
    if !output.status.success() {
        bail!("git {} failed: {}", words[0], String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The text with one field of its `spec` set or taken out, all else as it is, comments included.
///
/// *Guarantees:* read as a document, the result differs in that field alone.
fn set<T: DeserializeOwned + Serialize + PartialEq>(
    text: &str,
    field: &str,
    value: Option<&Value>,
) -> anyhow::Result<String> {
    let document: T = yaml::from_str(text).context("it has a fault; `qonnect validate` says which")?;
    let mut wanted = serde_json::to_value(&document)?;
    let spec = wanted.get_mut("spec").and_then(Value::as_object_mut).context("it has no `spec`")?;
    match value {
        Some(value) => drop(spec.insert(field.into(), value.clone())),
        None => drop(spec.remove(field)),
    }
    let wanted: T = serde_json::from_value(wanted)?;
    if document == wanted {
        return Ok(text.into());
    }
    let changed = written(text, field, value).context("its `spec` is written in an unusual way")?;
    let read: T = yaml::from_str(&changed).context("its `spec` is written in an unusual way")?;
    ensure!(read == wanted, "its `spec` is written in an unusual way");
    Ok(changed)
}

/// `spec:` as a block, the field on one line of it.
fn written(text: &str, field: &str, value: Option<&Value>) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let spec = lines.iter().position(|line| line.trim_end() == "spec:" || line.starts_with("spec: #"))?;
    let inside = |line: &&&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let first = lines[spec + 1..].iter().find(inside)?;
    let indent = &first[..first.len() - first.trim_start().len()];
    if indent.is_empty() {
        return None;
    }
    let key = format!("{indent}{field}:");
    let end = lines[spec + 1..].iter().position(|line| inside(&line) && !line.starts_with(indent));
    let end = end.map_or(lines.len(), |end| spec + 1 + end);
    let known = (spec + 1..end).find(|at| lines[*at].starts_with(&key));
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    if let Some(at) = known {
        lines.remove(at);
    }
    if let Some(value) = value {
        lines.insert(known.unwrap_or(spec + 1), format!("{key} {}", flow(value)));
    }
    Some(lines.join("\n") + "\n")
}

/// On one line, as people write it.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}: {}", flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        // Names of clusters are DNS labels, of which some read as numbers.
        Value::String(text) if text.starts_with(|c: char| c.is_ascii_alphabetic()) => text.clone(),
        other => other.to_string(),
    }
}

/// A file of the repository, from its root.
pub(super) fn cluster_file(root: &Path, cluster: &str) -> anyhow::Result<String> {
    let file = format!("{}/{cluster}.yaml", qonnect_schema::layout::CLUSTERS);
    ensure!(root.join(&file).is_file(), "there is no {file} in {}", root.display());
    Ok(file)
}

pub(super) fn application_file(root: &Path, application: &str) -> anyhow::Result<String> {
    let layout = (qonnect_schema::layout::APPLICATIONS, qonnect_schema::layout::APPLICATION);
    let file = format!("{}/{application}/{}", layout.0, layout.1);
    ensure!(root.join(&file).is_file(), "there is no {file} in {}", root.display());
    Ok(file)
}

#[cfg(test)]
mod tests {
    use qonnect_schema::{Application, Cluster};
    use serde_json::json;

    use super::*;

    const CLUSTER: &str = "apiVersion: qonnect.io/v1alpha1\nkind: Cluster\nmetadata: {name: fog}\nspec:\n  # Where it is.\n  \
                           tier: fog # low\n  ingress: {address: fog}\n";

    #[test]
    fn a_field_comes_and_goes_and_all_else_stays_as_it_was() {
        let drained = set::<Cluster>(CLUSTER, "drain", Some(&json!(true))).unwrap();
        assert_eq!(drained, CLUSTER.replace("spec:\n", "spec:\n  drain: true\n"));
        assert_eq!(set::<Cluster>(&drained, "drain", Some(&json!(true))).unwrap(), drained);
        assert_eq!(set::<Cluster>(&drained, "drain", None).unwrap(), CLUSTER);
        assert_eq!(set::<Cluster>(CLUSTER, "cordon", None).unwrap(), CLUSTER);
    }

    #[test]
    fn a_map_stands_on_one_line() {
        let text = "apiVersion: qonnect.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n  objectives: {cost: 1}\n  \
                    components: [{name: web, manifests: [w]}]\n";
        let pinned = set::<Application>(text, "pin", Some(&json!({"web": "fog-cost", "db": "7"}))).unwrap();
        assert!(pinned.contains("spec:\n  pin: {db: \"7\", web: fog-cost}\n"), "{pinned}");
        assert_eq!(set::<Application>(&pinned, "pin", None).unwrap(), text);
    }

    fn checkout() -> (tempfile::TempDir, Checkout) {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Checkout { repository: folder.path().into(), push: false, message: None };
        std::fs::create_dir(folder.path().join("clusters")).unwrap();
        std::fs::write(folder.path().join("fleet.yaml"), "").unwrap();
        std::fs::write(folder.path().join("clusters/fog.yaml"), CLUSTER).unwrap();
        for words in [
            &["init", "--quiet"][..],
            &["config", "user.name", "a person"],
            &["config", "user.email", "person@example.org"],
            &["add", "--all"],
            &["commit", "--quiet", "--message", "the fleet"],
        ] {
            checkout.git(words).unwrap();
        }
        (folder, checkout)
    }

    #[test]
    fn a_change_is_a_commit_of_its_own_or_nothing() {
        let (folder, checkout) = checkout();
        let path = folder.path().join("clusters/fog.yaml");
        let drain =
            || checkout.change::<Cluster>("clusters/fog.yaml", &[("drain", Some(json!(true)))], "Drain fog");
        let subjects = || checkout.git(&["log", "--format=%s"]).unwrap();

        // A person is at work in it.
        std::fs::write(&path, format!("{CLUSTER}# more\n")).unwrap();
        let error = drain().unwrap_err();
        assert!(error.to_string().contains("not committed"), "{error:#}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{CLUSTER}# more\n"));
        std::fs::write(&path, CLUSTER).unwrap();

        // The commit is refused.
        let hook = folder.path().join(".git/hooks/pre-commit");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, "#!/bin/sh\necho not today >&2\nexit 1\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&hook, executable).unwrap();
        let error = drain().unwrap_err();
        assert!(format!("{error:#}").contains("not today"), "{error:#}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), CLUSTER);
        std::fs::remove_file(&hook).unwrap();

        assert!(drain().unwrap().contains("Drain fog: commit"));
        assert_eq!(subjects(), "Drain fog\nthe fleet\n");
        assert!(drain().unwrap().contains("says so already"));
        assert_eq!(subjects(), "Drain fog\nthe fleet\n");
    }

    #[test]
    fn what_is_written_in_an_unusual_way_is_left_to_people() {
        let flow =
            "apiVersion: qonnect.io/v1alpha1\nkind: Cluster\nmetadata: {name: fog}\nspec: {tier: fog}\n";
        let error = set::<Cluster>(flow, "drain", Some(&json!(true))).unwrap_err();
        assert!(format!("{error:#}").contains("unusual"), "{error:#}");
    }
}
