//! `qonnect init`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use qonnect_schema::json_schema::Kind;

use super::edit::git;
use super::{Status, output, schema};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  qonnect init my-fleet && cd my-fleet && qonnect plan")]
pub(super) struct Args {
    /// The folder to make, or an empty one; a checkout without files will do
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// What a repository begins with.
const FILES: [(&str, &str); 6] = [
    ("README.md", include_str!("init/README.md")),
    ("fleet.yaml", include_str!("init/fleet.yaml")),
    ("clusters/edge-1.yaml", include_str!("init/cluster.yaml")),
    ("apps/hello/application.yaml", include_str!("init/application.yaml")),
    ("apps/hello/web.yaml", include_str!("init/web.yaml")),
    (
        ".github/workflows/placement.yml",
        include_str!("../../../example-repo/.github/workflows/placement.yml"),
    ),
];

pub(super) fn run(args: Args) -> Status {
    let folder = &args.folder;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let items = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for item in items {
        let name = item?.file_name();
        ensure!(
            name == ".git",
            "{} holds {} already; name an empty folder",
            folder.display(),
            name.display()
        );
    }
    for (path, text) in FILES {
        write(&folder.join(path), text)?;
    }
    for kind in Kind::ALL {
        write(&folder.join("schema").join(kind.file_name()), &schema::document(kind))?;
    }
    if !folder.join(".git").exists() {
        git(folder, &["init", "--quiet", "--initial-branch=main"])?;
    }
    output::print(&format!(
        "{} holds a cluster and an application to begin with; put your own in their place, then\n  \
         qonnect validate {0} && qonnect plan {0}\n",
        folder.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let about = || format!("cannot write {}", path.display());
    fs::create_dir_all(path.parent().with_context(about)?).with_context(about)?;
    fs::write(path, text).with_context(about)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;
    use jiff::Timestamp;
    use qonnect_core::placement::plan;
    use qonnect_schema::{SnapshotSpec, validate};

    #[test]
    fn a_new_repository_has_no_fault_and_everything_in_it_is_placed() {
        let folder = tempfile::tempdir().unwrap();
        let fleet = folder.path().join("fleet");
        run(Args { folder: fleet.clone() }).unwrap();
        assert!(fleet.join(".git").is_dir());

        let checked = validate::repository(&files::tree(&fleet).unwrap(), "", Timestamp::UNIX_EPOCH);
        assert_eq!(checked.findings, []);
        let plan = plan(&checked.revision, &SnapshotSpec::default());
        assert_eq!(plan.applications["hello"].components["web"].cluster.as_deref(), Some("edge-1"));
    }

    #[test]
    fn what_lies_in_a_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("fleet.yaml"), "mine").unwrap();
        let error = run(Args { folder: folder.path().into() }).unwrap_err();
        assert!(error.to_string().contains("holds fleet.yaml already"), "{error:#}");
        assert_eq!(fs::read_to_string(folder.path().join("fleet.yaml")).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
